import { hash } from 'node:crypto';

export const CHUNK_ID_BYTES = 32;

/** SHA-256 of a chunk's plain bytes. */
export function chunkId(plain: Uint8Array): Uint8Array {
  return hash('sha256', plain, 'buffer');
}

export function isHexId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

const zeros = Buffer.alloc(2 ** 20);

/** Whether the bytes are all zero: such a chunk is empty and has no id. */
export function isAllZero(bytes: Uint8Array): boolean {
  // Most bytes show it at once; the comparison costs a call of native code.
  if (bytes.length === 0) return true;
  if (bytes[0] !== 0 || bytes[bytes.length >> 1] !== 0 || bytes[bytes.length - 1] !== 0) return false;
  for (let offset = 0; offset < bytes.length; offset += zeros.length) {
    const length = Math.min(zeros.length, bytes.length - offset);
    if (zeros.compare(bytes, offset, offset + length, 0, length) !== 0) return false;
  }
  return true;
}

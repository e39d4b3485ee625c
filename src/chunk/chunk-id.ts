import { hash } from 'node:crypto';

export const CHUNK_ID_BYTES = 32;

/** Stands for an empty chunk where an id would be. */
export const noChunkId = new Uint8Array(CHUNK_ID_BYTES);

/** SHA-256 of a chunk's plain bytes. */
export function chunkId(plain: Uint8Array): Uint8Array {
  return hash('sha256', plain, 'buffer');
}

export function isHexId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

const zeros = Buffer.alloc(2 ** 20);

/** Whether the bytes, or those from `start` to before `end`, are all zero: such a chunk is empty and has no id. */
export function isAllZero(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  // A few bytes mostly decide, and save the native call of a comparison.
  if (start >= end) return true;
  if (bytes[start] !== 0 || bytes[(start + end) >> 1] !== 0 || bytes[end - 1] !== 0) return false;
  for (let offset = start; offset < end; offset += zeros.length) {
    const length = Math.min(zeros.length, end - offset);
    if (zeros.compare(bytes, offset, offset + length, 0, length) !== 0) return false;
  }
  return true;
}

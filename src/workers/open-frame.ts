import { isFrameSize, LARGEST_CHUNK_BYTES } from '../chunk/chunk-grid.ts';
import { chunkId } from '../chunk/chunk-id.ts';
import { sealPurpose, type Seal } from '../seal/seal.ts';
import type { Zstd } from '../codec/zstd.ts';
import { Failure } from '../failure.ts';
import type { Scratch } from './scratch.ts';
import type { SealedChunk, SealedFrame } from './jobs.ts';

/**
 * Unseals and unpacks one frame of a store. Returns the plain bytes of its chunks, in order, in the scratch memory.
 * Does not compare them with their ids (`isChunk` does). Null when the frame is damaged, or has other chunks.
 */
export function openFrame(
  { bytes, chunks }: SealedFrame,
  seal: Seal,
  zstd: Zstd,
  scratch: Scratch,
): Uint8Array[] | null {
  const plainBytes = chunks.reduce((sum, { length }) => sum + length, 0);
  if (!isFrameSize(chunks.length, plainBytes) || plainBytes > LARGEST_CHUNK_BYTES) return null;
  let plain: Uint8Array;
  try {
    const compressed = seal.open(sealPurpose.frame, bytes);
    plain = zstd.decompress(compressed, plainBytes, scratch.plain.take(plainBytes));
  } catch (error) {
    if (error instanceof Failure && isDamage(error)) return null;
    throw error;
  }
  let end = 0;
  return chunks.map(({ length }) => plain.subarray(end, (end += length)));
}

export function isChunk({ id }: SealedChunk, plain: Uint8Array): boolean {
  return Buffer.compare(chunkId(plain), id) === 0;
}

function isDamage({ code }: Failure): boolean {
  return code === 'pack-damaged' || code === 'store-damaged';
}

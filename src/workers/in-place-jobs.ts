import type { Zstd } from '../codec/zstd.ts';
import type { CompressJob, DecompressJob, InPlaceResult } from './jobs.ts';
import type { Scratch } from './scratch.ts';

/*
 * The bytes pass between threads in shared memory, and are copied into the worker's own: not every zstd library takes shared memory.
 * Such a copy takes a hundredth of the time of compression.
 */

/** Room that a frame of this many bytes needs at most, whatever they are (zstd.h, ZSTD_COMPRESSBOUND). */
export function frameRoomBytes(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / 256) + 1024;
}

export function compressInPlace(
  { memory, plainBytes, level }: CompressJob,
  zstd: Zstd,
  scratch: Scratch,
): InPlaceResult {
  const plain = scratch.plain.take(plainBytes);
  plain.set(new Uint8Array(memory, 0, plainBytes));
  const frame = zstd.compressChecked(plain, level, scratch.compressed.take(frameRoomBytes(plainBytes)));
  new Uint8Array(memory).set(frame);
  return { sizeBytes: frame.length };
}

/** Throws Failure `pack-damaged`. */
export function decompressInPlace(
  { memory, frameBytes, plainBytes }: DecompressJob,
  zstd: Zstd,
  scratch: Scratch,
): InPlaceResult {
  const frame = scratch.compressed.take(frameBytes);
  frame.set(new Uint8Array(memory, 0, frameBytes));
  const plain = zstd.decompress(frame, plainBytes, scratch.plain.take(plainBytes));
  new Uint8Array(memory).set(plain);
  return { sizeBytes: plain.length };
}

import { writeSync } from 'node:fs';
import { chunkLength, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { isAllZero } from '../chunk/chunk-id.ts';
import { Failure } from '../failure.ts';
import { errorCode, errorMessage } from '../system/error-code.ts';
import type { FrameChunk } from './frame.ts';

/** Runs of zero bytes at least this long are left as holes. */
const HOLE_GRAIN_BYTES = 4096;
/** From here on it is cheaper to give bytes to the disk than to the page cache, which copies them and writes them later. */
const DIRECT_RUN_BYTES = 64 * 1024;

export interface WrittenFile {
  fd: number;
  /** The same file opened with O_DIRECT; null where its file system cannot do that. */
  directFd: number | null;
}

/**
 * Writes a frame's chunks to their places in a file that reads as zero there, leaving out what is zero anyway. Throws
 * Failure `target-full` or `write-failed`.
 * @param plain the chunks' bytes, one after the other; at an address that is a multiple of 4096
 */
export function writeFrame(
  file: WrittenFile,
  grid: ChunkGrid,
  chunks: readonly FrameChunk[],
  plain: Uint8Array,
): void {
  let from = 0;
  let to = 0;
  for (const [index, { position, length }] of chunks.entries()) {
    to += length;
    if (chunks[index + 1]?.position === position + 1) continue;
    const end = position * grid.chunkBytes + chunkLength(grid, position);
    writeSparsely(file, plain.subarray(from, to), end - (to - from));
    from = to;
  }
}

function writeSparsely(file: WrittenFile, bytes: Uint8Array, offset: number): void {
  let from = 0;
  for (let grain = 0; grain < bytes.length; grain += HOLE_GRAIN_BYTES) {
    if (!isAllZero(bytes.subarray(grain, grain + HOLE_GRAIN_BYTES))) continue;
    writeRun(file, bytes.subarray(from, grain), offset + from);
    from = Math.min(grain + HOLE_GRAIN_BYTES, bytes.length);
  }
  writeRun(file, bytes.subarray(from), offset + from);
}

function writeRun({ fd, directFd }: WrittenFile, bytes: Uint8Array, offset: number): void {
  const isAligned = (bytes.length | offset | bytes.byteOffset) % HOLE_GRAIN_BYTES === 0;
  const isDirect = directFd !== null && isAligned && bytes.length >= DIRECT_RUN_BYTES;
  const doneBytes = isDirect ? writeDirect(directFd, bytes, offset) : 0;
  for (let done = doneBytes; done < bytes.length;) done += writeOnce(fd, bytes.subarray(done), offset + done);
}

/** The bytes written: fewer than all where the file system wants another alignment. */
function writeDirect(fd: number, bytes: Uint8Array, offset: number): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length, offset);
  } catch (error) {
    if (errorCode(error) === 'EINVAL') return 0;
    throw writeFailure(error);
  }
}

function writeOnce(fd: number, bytes: Uint8Array, offset: number): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length, offset);
  } catch (error) {
    throw writeFailure(error);
  }
}

function writeFailure(error: unknown): Failure {
  const isFull = errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
  return new Failure(
    isFull ? 'target-full' : 'write-failed',
    `The new image cannot be written: ${errorMessage(error)}.`,
    {
      ...(isFull ? { advice: 'Make room on the new hardware, or choose another directory there.' } : {}),
      cause: error,
    },
  );
}

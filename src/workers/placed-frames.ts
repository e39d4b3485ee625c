import { readSync } from 'node:fs';
import { chunkLength, frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero, noChunkId } from '../chunk/chunk-id.ts';
import { rowAt } from '../chunk/chunk-list.ts';
import type { Zstd } from '../codec/zstd.ts';
import { packLimitBytes } from '../pack/pack.ts';
import { readPack } from '../pack/read-pack.ts';
import { sealFor } from '../seal/seal-for.ts';
import type { PackFile, PlainRun, TakenChunks, WantedChunk, WantedFrames } from './jobs.ts';
import { isChunk, openFrame } from './open-frame.ts';
import { readPackFile } from './pack-file.ts';
import type { Scratch } from './scratch.ts';

/** A frame, unpacked: its bytes lie in the scratch memory until the next frame is asked for, unless they came as plain bytes. */
export interface PlacedFrame {
  /** The chunks to write, in the order of the frame. */
  chunks: readonly PlacedChunk[];
  /** Ids of the wanted chunks that the frame does not give. */
  damagedIds: readonly Uint8Array[];
}

export interface PlacedChunk {
  id: Uint8Array;
  plain: Uint8Array;
  /** The places in the image to write it to. */
  positions: readonly number[];
}

/** The frames that a job brings. */
export function placedFrames(
  from: PackFile | WantedFrames | PlainRun | TakenChunks,
  grid: ChunkGrid,
  zstd: Zstd,
  scratch: Scratch,
): AsyncIterable<PlacedFrame> | Iterable<PlacedFrame> {
  if ('frames' in from) return framesOfStore(from, grid, zstd, scratch);
  if ('fromFd' in from) return chunksOfDisk(from, grid, scratch);
  return 'memory' in from ? [frameOfRun(from, grid)] : framesOfPack(from, grid, zstd, scratch);
}

/** Its bytes stay where they are. */
function frameOfRun({ memory, first, plainBytes, withEmpty }: PlainRun, grid: ChunkGrid): PlacedFrame {
  const plain = Buffer.from(memory, 0, plainBytes);
  const chunks: PlacedChunk[] = [];
  for (let start = 0, position = first; start < plainBytes; start += grid.chunkBytes, position++) {
    const bytes = plain.subarray(start, start + chunkLength(grid, position));
    const isEmpty = isAllZero(bytes);
    if (!isEmpty || withEmpty)
      chunks.push({ id: isEmpty ? noChunkId : chunkId(bytes), plain: bytes, positions: [position] });
  }
  return { chunks, damagedIds: [] };
}

/** Chunks of another disk: those that are there as they should be. It may be written to meanwhile. */
function* chunksOfDisk(
  { fromFd, fromPositions, chunks }: TakenChunks,
  grid: ChunkGrid,
  scratch: Scratch,
): Iterable<PlacedFrame> {
  const { chunkBytes } = grid;
  const most = frameLimitBytes(grid) / chunkBytes;
  for (let first = 0; first < fromPositions.length; first += most) {
    const count = Math.min(most, fromPositions.length - first);
    const buffer = scratch.plain.take(count * chunkBytes);
    const found: PlacedChunk[] = [];
    for (let index = 0; index < count; index++) {
      const { position, id } = rowAt(chunks, first + index);
      const start = index * chunkBytes;
      const plain = buffer.subarray(start, start + chunkLength(grid, position));
      if (!readWhole(fromFd, plain, (fromPositions[first + index] ?? 0) * chunkBytes)) continue;
      if (Buffer.compare(chunkId(plain), id) === 0) found.push({ id, plain, positions: [position] });
    }
    yield { chunks: found, damagedIds: [] };
  }
}

/** False if it cannot be read, or ends before. */
function readWhole(fd: number, into: Uint8Array, offset: number): boolean {
  for (let done = 0; done < into.length;) {
    let count: number;
    try {
      count = readSync(fd, into, done, into.length - done, offset + done);
    } catch {
      return false;
    }
    if (count === 0) return false;
    done += count;
  }
  return true;
}

/** The frames of a pack. Its chunks are not compared with their ids. Throws Failure `pack-damaged` or `read-failed`. */
export async function* framesOfPack(
  { packId, packPath }: PackFile,
  grid: ChunkGrid,
  zstd: Zstd,
  scratch: Scratch,
): AsyncIterable<PlacedFrame> {
  const pack = readPackFile(packPath, packLimitBytes(grid), (sizeBytes) => scratch.pack.take(sizeBytes));
  for await (const { chunks, compressed } of readPack(packId, [pack], grid)) {
    const frameBytes = chunks.reduce((sum, { length }) => sum + length, 0);
    const plain = zstd.decompress(compressed, frameBytes, scratch.plain.take(frameBytes));
    let end = 0;
    const placed = chunks.map(({ id, position, length }) => ({
      id,
      plain: plain.subarray(end, (end += length)),
      positions: [position],
    }));
    yield { chunks: placed, damagedIds: [] };
  }
}

/** Frames of a store. Only chunks that match their ids are written. */
export function* framesOfStore(
  { frames, sealKey }: WantedFrames,
  grid: ChunkGrid,
  zstd: Zstd,
  scratch: Scratch,
): Iterable<PlacedFrame> {
  const seal = sealFor(sealKey);
  for (const frame of frames) {
    const plains = openFrame(frame, seal, zstd, scratch);
    const chunks: PlacedChunk[] = [];
    const damagedIds: Uint8Array[] = [];
    for (const [index, chunk] of frame.chunks.entries()) {
      const { id, positions } = chunk;
      if (positions.length === 0) continue;
      const plain = plains?.[index];
      if (plain !== undefined && isChunk(chunk, plain) && fits(chunk, grid))
        chunks.push({ id, plain, positions });
      else damagedIds.push(id);
    }
    yield { chunks, damagedIds };
  }
}

/** Whether the chunk has the right length for its positions. If not, the chunk map is wrong. */
function fits({ length, positions }: WantedChunk, grid: ChunkGrid): boolean {
  return positions.every((position) => position < grid.chunkCount && chunkLength(grid, position) === length);
}

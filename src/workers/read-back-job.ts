import { read } from 'node:fs';
import { promisify } from 'node:util';
import { chunkLength, frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero, noChunkId } from '../chunk/chunk-id.ts';
import { chunkListOf, rowAt } from '../chunk/chunk-list.ts';
import { Failure } from '../failure.ts';
import { errorMessage } from '../system/error-code.ts';
import type { CompareJob, IdentifyJob, IdentifyResult, ReadBackJob, ReadBackResult } from './jobs.ts';
import type { ReusedBuffer, Scratch } from './scratch.ts';

/** Longer runs are not read ahead: each takes memory twice. */
const LONGEST_READ_AHEAD_BYTES = 2 * 2 ** 20;

/** Whether it reads ahead: then it has memory of its own, and lets the thread do other jobs while it waits for the disk. */
export function readsAhead({ grid }: Pick<ReadBackJob, 'grid'>): boolean {
  return frameLimitBytes(grid) <= LONGEST_READ_AHEAD_BYTES;
}

/**
 * Reads chunks, and returns those that do not match their ids. An unreadable chunk is a Failure
 * `verification-failed` when reading back; when comparing, it counts as different.
 */
export async function readBack(job: ReadBackJob | CompareJob, scratch: Scratch): Promise<ReadBackResult> {
  const mismatches: number[] = [];
  let plainBytes = 0;
  for await (const [row, plain] of readChunks(job, job.chunks.positions, job.kind === 'compare', scratch)) {
    const { position, id } = rowAt(job.chunks, row);
    if (plain === null || !holdsChunk(plain, id)) mismatches.push(position);
    plainBytes += chunkLength(job.grid, position);
  }
  return { plainBytes, mismatches };
}

/** Reads chunks, and returns their ids. Leaves out those that cannot be read, or lie beyond the end of the file. */
export async function identify(job: IdentifyJob, scratch: Scratch): Promise<IdentifyResult> {
  const found: { position: number; id: Uint8Array }[] = [];
  let plainBytes = 0;
  for await (const [row, plain] of readChunks(job, job.positions, true, scratch)) {
    if (plain === null) continue;
    const id = isAllZero(plain) ? noChunkId : chunkId(plain);
    found.push({ position: job.positions[row] ?? 0, id });
    plainBytes += plain.length;
  }
  return { chunks: chunkListOf(found), plainBytes };
}

/**
 * The bytes of each chunk, with its row in the list; null for one that could not be read as a whole. They are valid until the next one.
 * @param positions ascending
 */
async function* readChunks(
  source: { fd: number; grid: ChunkGrid },
  positions: Uint32Array,
  maySkip: boolean,
  scratch: Scratch,
): AsyncIterable<[row: number, plain: Uint8Array | null]> {
  const { grid } = source;
  const { chunkBytes } = grid;
  for await (const { run, buffer, readBytes } of readRuns(source, positions, maySkip, scratch))
    for (let index = 0; index < run.count; index++) {
      const start = index * chunkBytes;
      const end = start + chunkLength(grid, run.first + index);
      yield [run.row + index, end <= readBytes ? buffer.subarray(start, end) : null];
    }
}

interface RunRead {
  run: Run;
  buffer: Buffer;
  readBytes: number;
}

/** The bytes of each run are valid until the next one: that is read meanwhile, if `readsAhead`. */
async function* readRuns(
  { fd, grid }: { fd: number; grid: ChunkGrid },
  positions: Uint32Array,
  maySkip: boolean,
  scratch: Scratch,
): AsyncIterable<RunRead> {
  const { chunkBytes, imageBytes } = grid;
  const runs = adjacentRuns(positions, frameLimitBytes(grid) / chunkBytes)[Symbol.iterator]();
  const isAhead = readsAhead({ grid });
  const memories = isAhead ? [scratch.lend(), scratch.lend()] : [scratch.plain];
  const begin = async (memory: ReusedBuffer | undefined): Promise<RunRead | null> => {
    const { value: run, done } = runs.next();
    if (done === true || memory === undefined) return null;
    const offset = run.first * chunkBytes;
    const buffer = memory.take(run.count * chunkBytes);
    const neededBytes = Math.min(buffer.length, imageBytes - offset);
    return { run, buffer, readBytes: await readAtLeast(fd, buffer, neededBytes, offset, maySkip) };
  };
  let turn = 0;
  let next = begin(memories[0]);
  try {
    for (let one = await next; one !== null; one = await next) {
      turn = (turn + 1) % memories.length;
      if (isAhead) next = begin(memories[turn]);
      // Awaited below, when this run has been dealt with.
      next.catch(() => undefined);
      yield one;
      if (!isAhead) next = begin(memories[turn]);
    }
  } finally {
    // The kernel may still write to the memory.
    await next.catch(() => undefined);
    if (isAhead) for (const memory of memories) scratch.giveBack(memory);
  }
}

/** Whether the bytes are the chunk with this id. An id of zeros stands for an empty chunk. */
function holdsChunk(plain: Uint8Array, id: Uint8Array): boolean {
  if (isAllZero(id)) return isAllZero(plain);
  return Buffer.compare(chunkId(plain), id) === 0;
}

interface Run {
  /** Of its first chunk. */
  row: number;
  /** The position of its first chunk. */
  first: number;
  count: number;
}

function* adjacentRuns(positions: Uint32Array, mostChunks: number): Iterable<Run> {
  let run: Run | null = null;
  for (const [row, position] of positions.entries()) {
    if (run !== null && run.count < mostChunks && run.first + run.count === position) run.count++;
    else {
      if (run !== null) yield run;
      run = { row, first: position, count: 1 };
    }
  }
  if (run !== null) yield run;
}

/** In a thread of libuv's. */
const readInPool = promisify(read);

/**
 * Asks for the whole buffer even if the image ends within it, because O_DIRECT needs whole blocks. Stops when it has the
 * needed bytes: another read would begin at the image's end, which may be inside a block, and O_DIRECT may refuse that.
 */
async function readAtLeast(
  fd: number,
  buffer: Buffer,
  neededBytes: number,
  offset: number,
  maySkip: boolean,
): Promise<number> {
  let done = 0;
  while (done < neededBytes) {
    let count: number;
    try {
      count = (await readInPool(fd, buffer, done, buffer.length - done, offset + done)).bytesRead;
    } catch (error) {
      if (maySkip) break;
      throw new Failure('verification-failed', `The new image cannot be read back: ${errorMessage(error)}.`, {
        cause: error,
      });
    }
    if (count === 0) break;
    done += count;
  }
  return done;
}

import { CHUNK_ID_BYTES } from '../chunk/chunk-id.ts';
import type { Job, SealedChunk } from './jobs.ts';

/* When a view passes to another thread, all of its memory is copied, unless the memory is handed over. */

/** The memory that goes to the worker with a job. */
export function memoryOf(job: Job): ArrayBuffer[] {
  const memories = new Set(handedOver(job).map(({ buffer }) => buffer as ArrayBuffer));
  // Node's small buffers share one memory, which must stay in this thread.
  return [...memories].filter(({ byteLength }) => byteLength > Buffer.poolSize);
}

/**
 * In the worker, after the job: frees the memory that came with it. That memory has outlived several collections of the
 * young generation, and would stay until the next full collection, which is rare. The copy that is made here is
 * collected early.
 */
export function freeMemoryOf(job: Job): void {
  const transfer = memoryOf(job);
  if (transfer.length > 0) structuredClone(null, { transfer });
}

function handedOver(job: Job): readonly Uint8Array[] {
  switch (job.kind) {
    case 'check':
      return job.packParts;
    case 'apply':
    case 'gather':
      return 'frames' in job.from ? job.from.frames.map(({ bytes }) => bytes) : [];
    case 'check-frames':
      return job.frames.map(({ bytes }) => bytes);
    default:
      return [];
  }
}

/** The same job, with its ids copied into one small memory: they may have been views of a whole index. */
export function withIdsOfTheirOwn(job: Job): Job {
  switch (job.kind) {
    case 'apply': {
      const { from } = job;
      return 'frames' in from ? { ...job, from: { ...from, frames: withOwnIds(from.frames) } } : job;
    }
    case 'gather':
      return { ...job, from: { ...job.from, frames: withOwnIds(job.from.frames) } };
    case 'check-frames':
      return { ...job, frames: withOwnIds(job.frames) };
    default:
      return job;
  }
}

function withOwnIds<Chunk extends SealedChunk>(
  frames: readonly { bytes: Uint8Array; chunks: readonly Chunk[] }[],
): { bytes: Uint8Array; chunks: Chunk[] }[] {
  const count = frames.reduce((sum, { chunks }) => sum + chunks.length, 0);
  // One memory for all: passing one for each id would take longer than checking its chunk.
  const ids = new Uint8Array(count * CHUNK_ID_BYTES);
  let end = 0;
  return frames.map(({ bytes, chunks }) => ({
    bytes,
    chunks: chunks.map((chunk) => {
      const id = ids.subarray(end, (end += CHUNK_ID_BYTES));
      id.set(chunk.id);
      return { ...chunk, id };
    }),
  }));
}

import { constants, getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { PackMemory } from '../pack/pack-memory.ts';
import { bestZstd } from '../codec/zstd.ts';
import { asFailure, toFailureParts } from '../failure.ts';
import { tidyUpAfterJobs } from '../system/memory/garbage.ts';
import { yieldDisk } from '../system/native.ts';
import { tuneMemory } from '../system/memory/memory.ts';
import { applyFrames, clearChunks } from './apply-jobs.ts';
import { checkFrames, checkPack } from './check-jobs.ts';
import { gatherChunks } from './gather-job.ts';
import { compressInPlace, decompressInPlace } from './in-place-jobs.ts';
import { freeMemoryOf } from './job-memory.ts';
import {
  packOf,
  STARTED,
  type AnswerMessage,
  type JobMessage,
  type SpareMemoryMessage,
} from './job-message.ts';
import type { Job, JobResult } from './jobs.ts';
import { nothingCaptured, OpenCapture, sampleFrame } from './open-capture.ts';
import { identify, readBack, readsAhead } from './read-back-job.ts';
import { Scratch } from './scratch.ts';

/* The entry of a worker thread: does jobs one after the other, and answers each. */

tuneMemory();
const zstd = bestZstd();
const scratch = new Scratch();
const packMemory = new PackMemory();
/** The captures that this worker takes part in, by number. */
const captures = new Map<number, OpenCapture>();
/** The nice value of this thread. For Linux each thread is a process of its own there (setpriority(2)). */
const usualPriority = getPriority(0);

async function execute(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case 'capture': {
      const capture = captures.get(job.capture) ?? new OpenCapture(job, zstd, scratch, packMemory);
      captures.set(job.capture, capture);
      return capture.capture(job);
    }
    case 'flush':
    case 'abandon': {
      const capture = captures.get(job.capture);
      captures.delete(job.capture);
      return job.kind === 'flush' && capture !== undefined ? capture.flush() : nothingCaptured;
    }
    case 'sample':
      return sampleFrame(job, zstd, scratch);
    case 'apply':
      return applyFrames(job, zstd, scratch);
    case 'gather':
      return gatherChunks(job, zstd, scratch);
    case 'read-back':
    case 'compare':
      return readBack(job, scratch);
    case 'identify':
      return identify(job, scratch);
    case 'clear':
      return clearChunks(job);
    case 'check':
      return checkPack(job, zstd, scratch);
    case 'check-frames':
      return checkFrames(job, zstd, scratch);
    case 'compress':
      return compressInPlace(job, zstd, scratch);
    case 'decompress':
      return decompressInPlace(job, zstd, scratch);
    case 'yield': {
      const isSet = yieldDisk(job.yields);
      if (job.ofProcessors) setPriority(0, job.yields ? constants.priority.PRIORITY_LOW : usualPriority);
      return { isSet };
    }
  }
}

const waiting: JobMessage[] = [];
let isAtWork = false;
/** Jobs that wait for the disk beside the one that is being done. */
const beside = new Set<Promise<void>>();
/** At most. */
const MOST_BESIDE = 3;

/**
 * Whether the job mostly waits for the disk, and needs no scratch memory meanwhile: then the thread does other jobs. Jobs that compress
 * or unpack in place need the scratch memory only while they have the thread.
 */
function waitsForDisk(job: Job): boolean {
  switch (job.kind) {
    case 'apply':
      return 'memory' in job.from;
    case 'read-back':
    case 'compare':
    case 'identify':
      return readsAhead(job);
    default:
      return false;
  }
}

function isInPlace({ kind }: Job): boolean {
  return kind === 'compress' || kind === 'decompress';
}

/**
 * Begins one job per turn of the event loop: memory that a codec's native code has allocated is freed only between turns,
 * and a port with many messages delivers up to a thousand of them in one turn. Jobs begin in their order.
 */
async function work(): Promise<void> {
  const message = waiting.shift();
  if (message !== undefined) {
    const { job } = message;
    if (waitsForDisk(job)) {
      while (beside.size >= MOST_BESIDE) await Promise.race(beside);
      const done: Promise<void> = finish(message).finally(() => void beside.delete(done));
      beside.add(done);
    } else {
      if (!isInPlace(job)) await Promise.all(beside);
      await finish(message);
    }
  }
  isAtWork = waiting.length > 0;
  if (isAtWork) setImmediate(() => void work());
}

async function finish(message: JobMessage): Promise<void> {
  const answer = await answerTo(message);
  const pack = packOf(answer);
  // A pack's bytes are handed over, not copied.
  parentPort?.postMessage(answer, pack === null ? [] : [pack.bytes.buffer as ArrayBuffer]);
  freeMemoryOf(message.job);
  tidyUpAfterJobs(1);
}

async function answerTo({ number, job }: JobMessage): Promise<AnswerMessage> {
  try {
    return { number, result: await execute(job) };
  } catch (error) {
    return { number, failure: toFailureParts(asFailure(error)) };
  }
}

parentPort?.on('message', (message: JobMessage | SpareMemoryMessage) => {
  if ('spareMemory' in message) {
    packMemory.giveBack(message.spareMemory);
    return;
  }
  waiting.push(message);
  if (isAtWork) return;
  isAtWork = true;
  setImmediate(() => void work());
});
parentPort?.postMessage(STARTED);

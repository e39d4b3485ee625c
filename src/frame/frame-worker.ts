import { parentPort } from 'node:worker_threads';
import type { Pack } from '../archive/pack.ts';
import { availableZstd } from '../codec/zstd.ts';
import { asFailure, toFailureRecord, type FailureRecord } from '../failure.ts';
import { collectYoungGarbage } from '../system/memory.ts';
import { applyPack, readBack, Scratch } from './frame-jobs.ts';
import type { Job, JobResult } from './jobs.ts';
import { nothingCaptured, OpenCapture, sampleFrame } from './open-capture.ts';

/** The entry of a worker thread: takes jobs one after the other and answers each. */
export interface JobMessage {
  number: number;
  job: Job;
}
export type AnswerMessage = { number: number } & ({ result: JobResult } | { failure: FailureRecord });

const [zstd] = availableZstd();
const scratch = new Scratch();
let open: OpenCapture | null = null;

async function execute(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case 'capture':
      // What an abandoned capture left here is nobody's.
      if (open?.number !== job.capture) open = new OpenCapture(job, zstd, scratch);
      return open.capture(job);
    case 'flush':
      return open?.number === job.capture ? open.flush() : nothingCaptured;
    case 'sample':
      return sampleFrame(job, zstd, scratch);
    case 'apply':
      return applyPack(job, zstd, scratch);
    case 'read-back':
      return readBack(job, scratch);
  }
}

const waiting: JobMessage[] = [];
/** Each leaves a MiB or two behind. */
const JOBS_BETWEEN_COLLECTIONS = 8;
let jobsDone = 0;

/**
 * One job a turn of the event loop: what a codec's native code has allocated is freed between turns only, and a port
 * that is kept full delivers up to a thousand messages in one.
 */
async function work(): Promise<void> {
  const [message] = waiting;
  if (message === undefined) return;
  const answer = await answerTo(message);
  const pack: Pack | null = 'result' in answer && 'pack' in answer.result ? answer.result.pack : null;
  // A pack's bytes are handed over, not copied.
  parentPort?.postMessage(answer, pack === null ? [] : [pack.bytes.buffer as ArrayBuffer]);
  waiting.shift();
  jobsDone++;
  if (jobsDone % JOBS_BETWEEN_COLLECTIONS === 0) collectYoungGarbage();
  if (waiting.length > 0) setImmediate(() => void work());
}

async function answerTo({ number, job }: JobMessage): Promise<AnswerMessage> {
  try {
    return { number, result: await execute(job) };
  } catch (error) {
    return { number, failure: toFailureRecord(asFailure(error)) };
  }
}

parentPort?.on('message', (message: JobMessage) => {
  waiting.push(message);
  if (waiting.length === 1) setImmediate(() => void work());
});

import { parentPort } from 'node:worker_threads';
import { availableZstd } from '../codec/zstd.ts';
import { asFailure, toFailureRecord, type FailureRecord } from '../failure.ts';
import type { ApplyResult, CaptureResult, FrameJob, ReadBackResult } from './frame.ts';
import { applyFrame, captureFrame, readBack, Scratch } from './frame-jobs.ts';

/** The entry of a worker thread: takes frame jobs one after the other and answers each. */
export interface JobMessage {
  number: number;
  job: FrameJob;
}
export type AnswerMessage = { number: number } & (
  { result: CaptureResult | ApplyResult | ReadBackResult } | { failure: FailureRecord }
);

const [zstd] = availableZstd();
const scratch = new Scratch();

function execute(job: FrameJob): CaptureResult | ApplyResult | ReadBackResult {
  switch (job.kind) {
    case 'capture':
      return captureFrame(job, zstd, scratch);
    case 'apply':
      return applyFrame(job, zstd);
    case 'read-back':
      return readBack(job, scratch);
  }
}

const waiting: JobMessage[] = [];

/**
 * One job a turn of the event loop: what a codec's native code has allocated is freed between turns only, and a port
 * that is kept full delivers up to a thousand messages in one.
 */
function work(): void {
  const message = waiting.shift();
  if (message === undefined) return;
  const answer = answerTo(message);
  parentPort?.postMessage(answer, transferableOf(answer));
  if (waiting.length > 0) setImmediate(work);
}

/** A frame's bytes are handed over, not copied. */
function transferableOf(answer: AnswerMessage): ArrayBuffer[] {
  if (!('result' in answer) || !('frame' in answer.result) || answer.result.frame === null) return [];
  return [answer.result.frame.compressed.buffer as ArrayBuffer];
}

function answerTo({ number, job }: JobMessage): AnswerMessage {
  try {
    return { number, result: execute(job) };
  } catch (error) {
    return { number, failure: toFailureRecord(asFailure(error)) };
  }
}

parentPort?.on('message', (message: JobMessage) => {
  waiting.push(message);
  if (waiting.length === 1) setImmediate(work);
});

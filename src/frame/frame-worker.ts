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

parentPort?.on('message', ({ number, job }: JobMessage) => {
  let answer: AnswerMessage;
  try {
    answer = { number, result: execute(job) };
  } catch (error) {
    answer = { number, failure: toFailureRecord(asFailure(error)) };
  }
  parentPort?.postMessage(answer);
});

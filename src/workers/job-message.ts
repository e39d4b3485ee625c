import type { Pack } from '../pack/pack.ts';
import type { FailureParts } from '../failure.ts';
import type { Job, JobResult } from './jobs.ts';

/* What passes between a FramePool and its workers. */

/** A worker's first message: all that it needs is loaded. */
export const STARTED = 'started';
export type StartedMessage = typeof STARTED;

export interface JobMessage {
  number: number;
  job: Job;
}

/** The memory of a pack that this worker made, and that nobody needs any more. */
export interface SpareMemoryMessage {
  spareMemory: ArrayBuffer;
}

export type AnswerMessage = { number: number } & ({ result: JobResult } | { failure: FailureParts });

/** The pack that an answer brings; most bring none. */
export function packOf(answer: AnswerMessage): Pack | null {
  return 'result' in answer && 'pack' in answer.result ? answer.result.pack : null;
}

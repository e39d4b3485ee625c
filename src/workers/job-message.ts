import type { Pack } from '../pack/pack.ts';
import type { FailureParts } from '../failure.ts';
import type { Job, JobResult } from './jobs.ts';

/* What passes between a FramePool and its workers. */

/** A worker's first message: its modules are loaded. */
export const STARTED = 'started';
export type StartedMessage = typeof STARTED;

export interface JobMessage {
  number: number;
  job: Job;
}

/** The memory of a pack that this worker made, free to be used again. */
export interface SpareMemoryMessage {
  spareMemory: ArrayBuffer;
}

export type AnswerMessage = { number: number } & ({ result: JobResult } | { failure: FailureParts });

/** The pack in an answer; most answers have none. */
export function packOf(answer: AnswerMessage): Pack | null {
  return 'result' in answer && 'pack' in answer.result ? answer.result.pack : null;
}

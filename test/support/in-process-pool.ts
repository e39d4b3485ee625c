import { bestZstd } from '../../src/codec/zstd.ts';
import { checkPack } from '../../src/workers/check-jobs.ts';
import { Scratch } from '../../src/workers/scratch.ts';
import type { FramePool } from '../../src/workers/frame-pool.ts';
import type { Job } from '../../src/workers/jobs.ts';

const zstd = bestZstd();
const scratch = new Scratch();

/** Checks packs here, one after the other: worker threads need the built program. */
export const inProcessPool = {
  width: 1,
  run: (job: Job) => {
    if (job.kind !== 'check') throw new Error(`a job for a worker thread: ${job.kind}`);
    const checked = turn.then(() => checkPack(job, zstd, scratch));
    turn = checked.catch(() => undefined);
    return checked;
  },
} as unknown as FramePool;

let turn: Promise<unknown> = Promise.resolve();

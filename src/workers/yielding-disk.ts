import type { FramePool } from './frame-pool.ts';

/**
 * Runs the work while all worker threads, which read the images, let the disk serve everybody else first; then as usual
 * again. For work during which the guest runs: while it waits, every second counts.
 */
export async function yieldingDisk<Result>(
  pool: Pick<FramePool, 'runOnEach'>,
  work: () => Promise<Result>,
): Promise<Result> {
  await pool.runOnEach({ kind: 'yield-disk', yields: true });
  try {
    return await work();
  } finally {
    // A pool whose workers have ended has nothing to put back.
    await pool.runOnEach({ kind: 'yield-disk', yields: false }).catch(() => undefined);
  }
}

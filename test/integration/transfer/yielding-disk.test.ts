import { readdirSync } from 'node:fs';
import process from 'node:process';
import { expect, test } from '@jest/globals';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { yieldingDisk } from '../../../src/workers/yielding-disk.ts';
import { runTool } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const workerUrl = new URL('../../../dist/workers/frame-worker.js', import.meta.url);

/** How many threads of this process have the class "idle". */
function idleThreads(): number {
  const threads = readdirSync(`/proc/${process.pid}/task`);
  return runTool('ionice', ['-p', ...threads])
    .split('\n')
    .filter((line) => line.startsWith('idle')).length;
}

describeWithTools('while a guest runs', ['ionice'], () => {
  test('every worker thread, and no other, lets the disk serve others first; afterwards none', async () => {
    await using pool = new FramePool(workerUrl, 3);
    const before = idleThreads();
    expect(await yieldingDisk(pool, () => Promise.resolve(idleThreads()))).toBe(before + 3);
    expect(idleThreads()).toBe(before);
    const reason = new Error('the work fails');
    await expect(yieldingDisk(pool, () => Promise.reject(reason))).rejects.toBe(reason);
    expect(idleThreads()).toBe(before);
  });
});

import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import process from 'node:process';
import { expect, test } from '@jest/globals';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { mayRaisePriority, yielding } from '../../../src/workers/yielding.ts';
import { runTool } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const workerUrl = new URL('../../../dist/workers/frame-worker.js', import.meta.url);

/** How many threads of this process have the class "idle", and how many the lowest priority. */
function yieldingThreads(): { disk: number; processors: number } {
  const threads = readdirSync(`/proc/${process.pid}/task`);
  const classes = runTool('ionice', ['-p', ...threads]).split('\n');
  return {
    disk: classes.filter((line) => line.startsWith('idle')).length,
    processors: threads.filter((thread) => getPriority(Number(thread)) === 19).length,
  };
}

describeWithTools('while a guest runs', ['ionice'], () => {
  test('every worker thread, and no other, lets others first to disk and processors; afterwards none', async () => {
    await using pool = new FramePool(workerUrl, 3);
    const before = yieldingThreads();
    const processors = before.processors + (mayRaisePriority() ? 3 : 0);
    expect(await yielding(pool, () => Promise.resolve(yieldingThreads()))).toEqual({
      disk: before.disk + 3,
      processors,
    });
    expect(yieldingThreads()).toEqual(before);
    const reason = new Error('the work fails');
    await expect(yielding(pool, () => Promise.reject(reason))).rejects.toBe(reason);
    expect(yieldingThreads()).toEqual(before);
  });
});

test('only an account with the right to take a nice value back changes it', () => {
  const initial = '         0          0 4294967295\n';
  const mayRaise = (capabilities: string, users = initial) =>
    mayRaisePriority(`Name:\tnode\nCapEff:\t${capabilities}\n`, users);
  expect(mayRaise('000001ffffffffff')).toBe(true);
  expect(mayRaise('0000000000800000')).toBe(true);
  expect(mayRaise('00000000ff7fffff')).toBe(false);
  // In a user namespace everybody has all capabilities.
  expect(mayRaise('000001ffffffffff', '         0       1000          1\n')).toBe(false);
  expect(mayRaisePriority('Name:\tnode\n', initial)).toBe(false);
});

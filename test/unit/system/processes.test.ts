import process from 'node:process';
import { expect, test } from '@jest/globals';
import { run } from '../../../src/system/processes.ts';

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('a program that takes too long is killed', async () => {
  expect(await run('sleep', ['600'], { timeoutMs: 100 })).toMatchObject({ exitStatus: null });
});

test('a time limit ends with its program, and also if that cannot be started: a timer would keep this process alive', async () => {
  const before = timers();
  await expect(run('/no/such/program', [], { timeoutMs: 600_000 })).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await run('true', [], { timeoutMs: 600_000 })).toMatchObject({ exitStatus: 0 });
  expect(timers()).toBe(before);
});

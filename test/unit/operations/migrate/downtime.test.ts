import { expect, test } from '@jest/globals';
import type { StageName } from '../../../../src/events.ts';
import { DowntimeClock } from '../../../../src/operations/migrate/passes/downtime.ts';

test('only what came after the halt had begun counts', () => {
  const clock = new DowntimeClock();
  const stage = (name: StageName, seconds: number) => {
    clock.note({ type: 'stage-started', stage: name, message: '' });
    clock.note({ type: 'stage-finished', stage: name, message: '', seconds });
  };
  stage('copy', 100);
  expect(clock.parts).toBeNull();
  expect(clock.downtimeSeconds).toBeNull();
  for (const [name, seconds] of [
    ['halt', 1],
    ['copy', 2],
    ['verify', 4],
    ['copy', 2],
    ['verify', 4],
    ['publish', 1],
    ['boot', 16],
  ] as const)
    stage(name, seconds);
  expect(clock.parts).toEqual({ haltSeconds: 1, copySeconds: 4, verifySeconds: 9, bootSeconds: 16 });
  const first = clock.downtimeSeconds;
  expect(first).not.toBeNull();
  // It ended with the boot.
  expect(clock.downtimeSeconds).toBe(first);
});

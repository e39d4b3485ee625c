import { expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import { runStage } from '../../../src/pipeline/run-stage.ts';

test('a failing stage is reported as failed, and throws its error', async () => {
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => void events.push(event) };
  const failure = new Failure('connection-lost', 'The line broke.');
  const running = runStage(
    context,
    'copy',
    'sending web.img',
    () => Promise.reject(failure),
    () => 'sent',
  );
  await expect(running).rejects.toBe(failure);
  expect(events).toEqual([
    { type: 'stage-started', stage: 'copy', message: 'sending web.img' },
    { type: 'stage-failed', stage: 'copy', message: 'sending web.img', seconds: expect.any(Number) },
  ]);
});

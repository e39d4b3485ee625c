import { expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import { SendProgress } from '../../../src/transfer/send-progress.ts';

test('bytes count as done only when they are sent or known', () => {
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => events.push(event) };
  const progress = new SendProgress('backup', 1000, context);
  // The store has 100 of the 300 bytes. Chunks are sent whole, even if not all of a chunk was read.
  progress.read(300, 220);
  progress.sent(55, 110);
  progress.sent(55, 110);
  progress.read(700, 0);
  const done = events.map((event) => (event.type === 'progress' ? [event.doneBytes, event.sentBytes] : []));
  expect(done).toEqual([
    [80, 0],
    [190, 55],
    [300, 110],
    [1000, 110],
  ]);
});

test('a second pass over the same bytes adds to what was sent, and not to what is done', () => {
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => events.push(event) };
  const progress = new SendProgress('copy', 1000, context);
  progress.read(600, 0);
  progress.again.read(500, 200);
  progress.again.sent(90, 200);
  progress.read(400, 0);
  const done = events.map((event) => (event.type === 'progress' ? [event.doneBytes, event.sentBytes] : []));
  expect(done).toEqual([
    [600, 0],
    [600, 0],
    [600, 90],
    [1000, 90],
  ]);
});

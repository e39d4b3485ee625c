import { expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import { BackupProgress } from '../../../../src/operations/backup/backup-progress.ts';

test('what waits to be sent is not done yet', () => {
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => events.push(event) };
  const progress = new BackupProgress(1000, context);
  // Of 300 bytes the store has 100; a chunk is sent whole, also where not all of it was read.
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

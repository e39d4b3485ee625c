import { expect, test } from '@jest/globals';
import type { GuestRecord } from '../../../../src/guest/guest-record.ts';
import { requireOldHostGone } from '../../../../src/operations/restore/old-host.ts';
import { failureOf } from '../../../support/failures.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const start = { bootTimeoutMs: 1000, oldHostIsGone: false, ask: null };
const here = { host: 'debian', id: 'a'.repeat(32) };

function check(backup: { host: string; machine?: string }, record: GuestRecord | null = null) {
  const made = { what: 'backup', createdAt: '2026-11-22T03:00:00Z', ...backup } as const;
  return requireOldHostGone('web', made, record, start, here, context);
}

test('a backup made on this machine is started without a question', async () => {
  await check({ host: 'debian', machine: here.id });
  // An old backup has only the machine's name.
  await check({ host: 'debian' });
});

test('a backup made on another machine with the same host name is refused', async () => {
  expect(await failureOf(() => check({ host: 'debian', machine: 'b'.repeat(32) }))).toMatchObject({
    code: 'guest-fenced',
    advice: expect.stringContaining('If the other machine that is called debian is off'),
  });
});

test('a copy that says nothing of its origin is started without a question', async () => {
  await requireOldHostGone('web', null, null, start, here, context);
});

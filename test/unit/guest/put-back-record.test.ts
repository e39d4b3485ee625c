import { expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import type { GuestRecord } from '../../../src/guest/guest-record.ts';
import type { NewGuestRecord } from '../../../src/guest/record-store.ts';
import { putBackRecord } from '../../../src/guest/put-back-record.ts';
import { offlineDefinition } from '../../../src/guest/offline-definition.ts';

const record: GuestRecord = {
  version: 1,
  definition: offlineDefinition('/srv/web.img'),
  state: 'halted',
  changedAt: '2026-11-29T15:00:00Z',
};
const failed = new Failure('boot-failed', 'web did not boot.');

test('the record is written, and the failure is thrown as it is', async () => {
  const written: GuestRecord[] = [];
  const write = (one: NewGuestRecord) => {
    written.push(one as GuestRecord);
    return Promise.resolve(record);
  };
  await expect(putBackRecord({ write }, record, failed)).rejects.toBe(failed);
  expect(written).toEqual([record]);
});

test('a record that cannot be written does not hide the failure', async () => {
  const full = new Failure('target-full', '/var/lib/vmferry is full.');
  const records = { write: () => Promise.reject(full) };
  await expect(putBackRecord(records, record, failed)).rejects.toMatchObject({
    code: 'boot-failed',
    message: 'web did not boot.; /var/lib/vmferry is full.',
    all: [failed, full],
  });
});

import { expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import type { RecordingDriver, RunningGuest } from '../../../../src/guest/guest-driver.ts';
import { WriteRecorder } from '../../../../src/operations/migrate/passes/write-recorder.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';

test('another notice of the hypervisor does not keep it from telling once that a recording cannot be read', async () => {
  // Of this format, no file system tells what has changed.
  const disk = { device: 'vda', path: '/nowhere/disk.vdi', readOnly: false, format: 'vdi' } as const;
  const definition = fakeDefinition('web', [], { disks: [disk] });
  const running: RunningGuest = { definition, identity: { id: '1', label: 'domain 1' }, cpuSeconds: 0 };
  const unreadable = [false, true, true];
  const driver: RecordingDriver = {
    ...fakeDriver(),
    canRecord: () => Promise.resolve(true),
    record: (_guest, { isTold }, { report }) => {
      const isUnreadable = unreadable.shift() ?? false;
      if (!isUnreadable) report({ type: 'notice', message: 'Something else.' });
      else if (isTold !== true) report({ type: 'notice', message: 'It cannot be read.' });
      return Promise.resolve({ id: '1', written: [null], isUnreadable });
    },
    haltRecorded: () => Promise.resolve([null]),
    endRecordings: () => Promise.resolve(),
  };
  const guest = { definition, running, record: null };
  await using recorder = await WriteRecorder.for({ guest, dependencies: { drivers: [driver] } });
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => void events.push(event) };
  for (let pass = 0; pass < 3; pass++) await recorder?.next(context);
  expect(events.map((event) => 'message' in event && event.message)).toEqual([
    'Something else.',
    'It cannot be read.',
  ]);
});

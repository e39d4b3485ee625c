import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '../../../../src/failure.ts';
import type { RunningGuest } from '../../../../src/guest/guest-driver.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { haltForMove } from '../../../../src/operations/migrate/halt-for-move.ts';
import { MoveCopy } from '../../../../src/operations/migrate/passes/move-copy.ts';
import type { Move } from '../../../../src/operations/migrate/preflight.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-halt-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const context = { signal: new AbortController().signal, report: () => undefined };

/** Halts a guest whose hypervisor now shows it with these changes. */
async function halt(changes: Partial<RunningGuest>) {
  const driver = fakeDriver(fakeDefinition('web', ['/srv/web.qcow2']));
  const [running] = await driver.list(context);
  if (running === undefined) throw new Error('it does not run');
  const drivers = [{ ...driver, list: () => Promise.resolve([{ ...running, ...changes }]) }];
  const records = createRecordStore(directory);
  const move = {
    request: {
      target: { destination: 'newhost', sshConfigFile: null },
      remoteCommand: 'vmferry',
      haltTimeoutMs: 1000,
      forceHalt: false,
    },
    dependencies: { drivers, records },
    guest: { definition: running.definition, running, record: null },
    directory: null,
  } as unknown as Move;
  const failure = await haltForMove(move, new MoveCopy(move, null), context).then(
    () => null,
    (error: unknown) => error,
  );
  return { failure, isDown: !driver.running.has('web'), record: await records.read('web') };
}

test('a guest with the disks of the preflight is halted', async () => {
  expect(await halt({})).toMatchObject({ failure: null, isDown: true, record: { state: 'moving' } });
});

test('a guest whose disk was replaced by a snapshot meanwhile is left alone', async () => {
  const changed = { definition: fakeDefinition('web', ['/srv/web.nightly']) };
  expect(await halt(changed)).toMatchObject({
    failure: {
      code: 'guest-unsupported',
      message:
        'The disks of web have changed since the move began: they were /srv/web.qcow2, and are /srv/web.nightly.',
    },
    isDown: false,
    record: null,
  });
});

test('a guest of which a disk is being copied by its hypervisor is left alone', async () => {
  const unsupported = new Failure('guest-unsupported', 'A block job copies the disk vda.');
  expect(await halt({ unsupported })).toMatchObject({ failure: unsupported, isDown: false, record: null });
});

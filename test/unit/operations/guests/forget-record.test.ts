import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import { forgetRecord } from '../../../../src/operations/guests/forget-record.ts';
import { listGuests } from '../../../../src/operations/guests/guests.ts';
import { codeOf } from '../../../support/failures.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;
let image: string;

beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'guests'));
  image = join(scratch.path, 'web.img');
  writeFileSync(image, '');
});
afterEach(() => scratch[Symbol.dispose]());

function definition(): GuestDefinition {
  const disks = [{ device: 'ubd0', path: image, readOnly: false }];
  return {
    name: 'web',
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks,
    commandLine: [],
  };
}

test('a guest that was moved away is forgotten once its old image is gone, and not before', async () => {
  const move = { destination: 'new', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };
  await records.write({ definition: definition(), state: 'moved', move });
  const dependencies = { drivers: [], records };
  expect(await codeOf(() => forgetRecord('web', dependencies, context))).toBe('target-exists');
  expect(await listGuests(dependencies, context)).toMatchObject([{ name: 'web', imageMissing: false }]);
  rmSync(image);
  expect(await listGuests(dependencies, context)).toMatchObject([{ name: 'web', imageMissing: true }]);
  const told: unknown[] = [];
  const telling = { ...context, report: (event: unknown) => told.push(event) };
  expect(await forgetRecord('web', dependencies, telling)).toEqual({
    type: 'record-forgotten',
    guest: 'web',
  });
  // The record that kept it from being started twice is gone.
  expect(told).toMatchObject([{ type: 'warning', message: expect.stringContaining('web was moved to new') }]);
  expect(await listGuests(dependencies, context)).toEqual([]);
  expect(await codeOf(() => forgetRecord('web', dependencies, context))).toBe('guest-not-found');
});

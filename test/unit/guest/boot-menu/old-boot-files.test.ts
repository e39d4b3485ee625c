import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { newBootFilePaths } from '../../../../src/guest/boot-menu/boot-file-paths.ts';
import { findOldBootFiles } from '../../../../src/guest/boot-menu/old-boot-files.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
let scratch: ReturnType<typeof scratchDirectory>;
let kernel: string;
let initrd: string;

beforeEach(() => {
  scratch = scratchDirectory();
  ({ kernel, initrd } = newBootFilePaths(scratch.path, 'web'));
  for (const path of ['kernel', 'initrd']) mkdirSync(join(scratch.path, path));
  for (const path of [kernel, initrd]) writeFileSync(path, '');
});
afterEach(() => scratch[Symbol.dispose]());

async function found(
  web: Partial<GuestDefinition>,
  remembered: GuestDefinition[] = [],
  running = remembered,
) {
  const records = createRecordStore(join(scratch.path, 'guests'));
  await records.write({ definition: fakeDefinition('web', [], web), state: 'halted' });
  for (const definition of remembered) await records.write({ definition, state: 'halted' });
  const sources = { drivers: [fakeDriver(...running)], records };
  const made = newBootFilePaths(scratch.path, 'web');
  return findOldBootFiles(fakeDefinition('web', [], web), made, sources, context);
}

test('what this machine has made to boot a guest that moved away may be deleted', async () => {
  expect(await found({ kernel, initrd })).toEqual([kernel, initrd]);
  expect(await found({ kernel, initrd: null })).toEqual([kernel]);
});

test('no other file may be deleted', async () => {
  const own = join(scratch.path, 'vmlinuz');
  writeFileSync(own, '');
  expect(await found({ kernel: own, initrd: null })).toEqual([]);
  expect(await found({ kernel: join(scratch.path, 'kernel/gone'), initrd })).toEqual([initrd]);
  mkdirSync(join(scratch.path, 'kernel/directory'));
  expect(await found({ kernel: join(scratch.path, 'kernel/directory') })).toEqual([]);
});

test('a file stays if another guest boots from it, or the guest itself, which came back to this machine', async () => {
  const mail = fakeDefinition('mail', [], { kernel: null, initrd });
  expect(await found({ kernel, initrd }, [], [fakeDefinition('web', [], { kernel })])).toEqual([initrd]);
  expect(await found({ kernel, initrd }, [mail], [])).toEqual([kernel]);
});

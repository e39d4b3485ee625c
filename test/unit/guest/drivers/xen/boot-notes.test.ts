import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hasBooted, noteBooted } from '../../../../../src/guest/drivers/xen/places/boot-notes.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-booted-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

test('a kernel that booted is remembered until it is replaced, and not for another kind of guest', async () => {
  const kernel = join(directory, 'kernel');
  const notes = { runDirectory: join(directory, 'run') };
  const what = { kernel, virtualization: 'pv', memoryBytes: 2 ** 27 };
  writeFileSync(kernel, 'one');
  expect(hasBooted(what, notes)).toBe(false);
  await noteBooted(what, notes);
  expect(hasBooted(what, notes)).toBe(true);
  expect(hasBooted({ ...what, virtualization: 'pvh' }, notes)).toBe(false);
  expect(hasBooted({ ...what, memoryBytes: 2 ** 26 }, notes)).toBe(false);
  writeFileSync(`${kernel}.new`, 'two');
  renameSync(`${kernel}.new`, kernel);
  expect(hasBooted(what, notes)).toBe(false);
});

test('that a note cannot be written is no failure: the kernel is tried again', async () => {
  const kernel = join(directory, 'other-kernel');
  writeFileSync(kernel, 'one');
  // A file is where the directory should be.
  const notes = { runDirectory: kernel };
  const what = { kernel, virtualization: 'pv', memoryBytes: 2 ** 27 };
  await noteBooted(what, notes);
  expect(hasBooted(what, notes)).toBe(false);
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import type { HugePageDriver } from '../../../../src/guest/guest-driver.ts';
import { checkHugePages, ordinaryMemoryBytes } from '../../../../src/guest/preflight/check-memory.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const meminfo = 'HugePages_Total:       0\nHugepagesize:       2048 kB\n';
const web = { name: 'web', memoryBytes: 64 * 2 ** 20 - 1 };

interface Pages {
  kibibytes?: number;
  overcommit?: number;
  surplus?: number;
}

/** A machine with these huge pages, of 2 MiB unless given. */
function machine(
  system: string,
  nr: number,
  free: number,
  reserved: number,
  { kibibytes = 2048, overcommit = 0, surplus = 0 }: Pages = {},
): void {
  const directory = join(system, `kernel/mm/hugepages/hugepages-${kibibytes}kB`);
  mkdirSync(directory, { recursive: true });
  const counts = {
    nr_hugepages: nr,
    free_hugepages: free,
    resv_hugepages: reserved,
    nr_overcommit_hugepages: overcommit,
    surplus_hugepages: surplus,
  };
  for (const [file, count] of Object.entries(counts)) writeFileSync(join(directory, file), `${count}\n`);
}

test('a guest in huge pages needs as many as its memory has, and no other guest’s', () => {
  using scratch = scratchDirectory();
  const found = (pageBytes: number | null) =>
    checkHugePages(web, { pageBytes }, scratch.path, meminfo).map(({ message }) => message);
  machine(scratch.path, 40, 33, 1);
  expect(found(null)).toEqual([]);
  expect(found(2 * 2 ** 20)).toEqual([]);
  machine(scratch.path, 40, 33, 2);
  expect(found(null)).toEqual(['web needs 32 huge pages of 2.00 MiB, and 31 are free here.']);
  expect(found(2 ** 30)).toEqual([
    'The memory of web is in huge pages of 1.00 GiB, which the kernel does not have here.',
  ]);
});

test('the advice has the number that is needed in all', () => {
  using scratch = scratchDirectory();
  machine(scratch.path, 40, 33, 2);
  const [problem] = checkHugePages(web, { pageBytes: null }, scratch.path, meminfo);
  expect(String(problem?.advice)).toContain('hugepages=41');
});

test('the pages that the kernel would make by itself count, without those that it has made', () => {
  using scratch = scratchDirectory();
  const found = () => checkHugePages(web, { pageBytes: null }, scratch.path, meminfo);
  machine(scratch.path, 0, 0, 0, { overcommit: 32 });
  expect(found()).toEqual([]);
  machine(scratch.path, 3, 0, 0, { overcommit: 32, surplus: 3 });
  const [problem] = found();
  expect(problem?.message).toBe('web needs 32 huge pages of 2.00 MiB, and 29 are free here.');
  expect(String(problem?.advice)).toContain('hugepages=3 ');
});

test('the advice names the size of pages that are not of the usual one', () => {
  using scratch = scratchDirectory();
  machine(scratch.path, 0, 0, 0, { kibibytes: 2 ** 20 });
  machine(scratch.path, 0, 0, 0, { kibibytes: 64 });
  const advice = (pageBytes: number) =>
    String(checkHugePages(web, { pageBytes }, scratch.path, meminfo)[0]?.advice);
  expect(advice(2 ** 30)).toContain('add hugepagesz=1G hugepages=1 to');
  expect(advice(2 ** 16)).toContain('add hugepagesz=64K hugepages=1024 to');
});

test('a guest that mixes sizes is not checked', () => {
  expect(checkHugePages(web, { pageBytes: 'mixed' }, '/nowhere', '')).toEqual([]);
});

test('a guest in huge pages takes no ordinary memory from others', async () => {
  const guest: GuestDefinition = { ...fakeDefinition('web', []), driver: 'qemu', memoryBytes: 2 ** 20 };
  const driver = (pageBytes: number | null): HugePageDriver => ({
    ...fakeDriver(),
    kind: 'qemu',
    hugePages: () => Promise.resolve(pageBytes === null ? null : { pageBytes }),
  });
  expect(await ordinaryMemoryBytes(guest, [driver(2 ** 21)])).toBe(0);
  expect(await ordinaryMemoryBytes(guest, [driver(null)])).toBe(2 ** 20);
  expect(await ordinaryMemoryBytes(guest, [fakeDriver()])).toBe(2 ** 20);
});

test('a kernel without huge pages has none of any size', () => {
  using scratch = scratchDirectory();
  expect(checkHugePages(web, { pageBytes: null }, scratch.path, '')).toMatchObject([
    { code: 'resources-short', message: expect.stringContaining('which the kernel does not have') },
  ]);
  expect(checkHugePages({ ...web, memoryBytes: null }, { pageBytes: null }, scratch.path, '')).toEqual([]);
});

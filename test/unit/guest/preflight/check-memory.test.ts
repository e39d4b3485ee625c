import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { checkHugePages } from '../../../../src/guest/preflight/check-memory.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const meminfo = 'HugePages_Total:       0\nHugepagesize:       2048 kB\n';
const web = { name: 'web', memoryBytes: 64 * 2 ** 20 - 1 };

/** A machine with so many pages of 2 MiB. */
function machine(system: string, nr: number, free: number, reserved: number): void {
  const directory = join(system, 'kernel/mm/hugepages/hugepages-2048kB');
  mkdirSync(directory, { recursive: true });
  const counts = { nr_hugepages: nr, free_hugepages: free, resv_hugepages: reserved };
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

test('a kernel without huge pages has none of any size', () => {
  using scratch = scratchDirectory();
  expect(checkHugePages(web, { pageBytes: null }, scratch.path, '')).toMatchObject([
    { code: 'resources-short', message: expect.stringContaining('which the kernel does not have') },
  ]);
  expect(checkHugePages({ ...web, memoryBytes: null }, { pageBytes: null }, scratch.path, '')).toEqual([]);
});

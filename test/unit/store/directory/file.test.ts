import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { nameIfFree } from '../../../../src/store/directory/file.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const { signal } = new AbortController();

/** Fails like FAT, which has no hard links. */
function noLinks(): Promise<void> {
  return Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM', syscall: 'link' }));
}

test.each([
  { where: 'with hard links', makeLink: undefined },
  { where: 'without hard links', makeLink: noLinks },
])('a name is given to the first file only, $where', async ({ makeLink }) => {
  using scratch = scratchDirectory();
  const files = ['first', 'second', 'third'].map((text) => {
    const path = join(scratch.path, text);
    writeFileSync(path, text);
    return path;
  });
  const name = join(scratch.path, 'name');
  const seen = await Promise.all(
    files.map(async (path) => {
      await nameIfFree(path, name, signal, makeLink);
      return readFileSync(name, 'utf8');
    }),
  );
  expect(new Set(seen).size).toBe(1);
  expect(readdirSync(scratch.path)).toEqual(['name']);
});

test('other errors are thrown', async () => {
  using scratch = scratchDirectory();
  const [from, to] = [join(scratch.path, 'none'), join(scratch.path, 'name')];
  await expect(nameIfFree(from, to, signal)).rejects.toMatchObject({ code: 'ENOENT' });
});

import { gzipSync } from 'node:zlib';
import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { newcArchive } from '../../../../src/guest/initrd/newc-archive.ts';
import { wordsInInitrd } from '../../../../src/guest/initrd/words-in-initrd.ts';
import { describeWithTools } from '../../../support/programs/tools.ts';

const { signal } = new AbortController();
const words = ['/a.ko\0', '/b.ko\0', '/c.ko\0'];
const plain = newcArchive([{ path: 'x/a.ko', content: Buffer.from('12345') }]);
const main = newcArchive([
  { path: 'modules.order', content: Buffer.from('x/c.ko\n') },
  { path: 'x/b.ko', content: Buffer.alloc(100_000) },
]);

async function wordsIn(...parts: Uint8Array[]): Promise<string[] | null> {
  const found = await wordsInInitrd(Buffer.concat(parts), words, signal);
  return found === null ? null : [...found].toSorted();
}

test('names are found in archives that are not compressed', async () => {
  expect(await wordsIn(plain, Buffer.alloc(512), main)).toEqual(['/a.ko\0', '/b.ko\0']);
});

describeWithTools('a compressed archive', ['gzip', 'zstd', 'xz'], () => {
  test.each([
    ['gzip', gzipSync(main)],
    ['zstd', spawnSync('zstd', ['-c'], { input: main }).stdout],
    ['xz', spawnSync('xz', ['-c', '--check=crc32'], { input: main }).stdout],
  ])('of %s is looked into, behind one that is not compressed', async (_, packed) => {
    expect(await wordsIn(plain, packed)).toEqual(['/a.ko\0', '/b.ko\0']);
    expect(await wordsIn(packed)).toEqual(['/b.ko\0']);
  });

  test.each([
    ['is cut off', gzipSync(main).subarray(0, 100)],
    ['is of no known kind', Buffer.from('nothing')],
  ])('that %s tells nothing', async (_, packed) => {
    expect(await wordsIn(plain, packed)).toBeNull();
  });
});

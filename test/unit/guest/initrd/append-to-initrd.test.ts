import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { appendToInitrd } from '../../../../src/guest/initrd/append-to-initrd.ts';
import { newcArchive } from '../../../../src/guest/initrd/newc-archive.ts';

const archive = newcArchive([{ path: 'a', content: 'directory' }]);

test.each([0, 1, 2, 3, 4])('an archive begins at a multiple of 4 bytes, after %i bytes', async (length) => {
  const directory = mkdtempSync(join(process.env['VMFERRY_TEST_SCRATCH'] ?? tmpdir(), 'vmferry-initrd-'));
  const [initrd, target] = [join(directory, 'initrd.img'), join(directory, 'web.initrd')];
  writeFileSync(initrd, Buffer.alloc(length, 7));
  writeFileSync(target, 'an older one');
  await appendToInitrd(initrd, archive, target);
  const made = readFileSync(target);
  expect(made.subarray(0, length)).toEqual(Buffer.alloc(length, 7));
  expect(made.length).toBe(Math.ceil(length / 4) * 4 + archive.length);
  expect(made.subarray(-archive.length).equals(archive)).toBe(true);
  expect(readdirSync(directory).toSorted()).toEqual(['initrd.img', 'web.initrd']);
});

test('a copy of a missing initial RAM disk is not made', async () => {
  const directory = mkdtempSync(join(process.env['VMFERRY_TEST_SCRATCH'] ?? tmpdir(), 'vmferry-initrd-'));
  const made = appendToInitrd(join(directory, 'none'), archive, join(directory, 'web.initrd'));
  await expect(made).rejects.toMatchObject({
    code: 'write-failed',
    message: expect.stringMatching('ENOENT'),
  });
  expect(readdirSync(directory)).toEqual([]);
});

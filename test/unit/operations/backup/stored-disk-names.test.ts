import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { storedDiskNames } from '../../../../src/operations/backup/stored-disk-names.ts';

test('images of several directories get different names', () => {
  expect(storedDiskNames(['/a/root.img', '/b/root.img', '/c/root.img-2', '/d/root.img'])).toEqual([
    'root.img',
    'root.img-2',
    'root.img-2-2',
    'root.img-3',
  ]);
  expect(storedDiskNames(['/a/.x', '/b/x', '/c/...', '/d/a\nb'])).toEqual(['x', 'x-2', 'disk', 'a_b']);
});

test('a name with a number is still short enough for a file', () => {
  const long = 'é'.repeat(120);
  const [, second = ''] = storedDiskNames([`/a/${long}`, `/b/${long}`]);
  expect(second).toBe(`${'é'.repeat(100)}-2`);
});

test('a manifest allows every name', () => {
  const names = fc.string({ unit: 'grapheme', maxLength: 255 }).filter((name) => !name.includes('/'));
  fc.assert(
    fc.property(fc.array(names, { maxLength: 20 }), (files) => {
      const stored = storedDiskNames(files.map((file) => `/srv/${file}`));
      expect(new Set(stored).size).toBe(files.length);
      for (const name of stored) expect(name).toMatch(/^[^./\p{Cc}][^/\p{Cc}]*$/u);
    }),
  );
});

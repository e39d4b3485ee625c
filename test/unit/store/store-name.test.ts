import { expect, test } from '@jest/globals';
import {
  checkStoreName,
  foldersOf,
  isEntryName,
  isTemporaryName,
  temporaryNameFor,
} from '../../../src/store/store-name.ts';

test.each(['a', 'a/b', 'guest one/packs/0001.tar', '..a', 'a..', '...'])('%j is a name', (name) => {
  expect(() => checkStoreName(name)).not.toThrow();
});

test.each(['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/..', '../a', 'a/./b', 'a\0'])(
  '%j is not a name',
  (name) => {
    expect(() => checkStoreName(name)).toThrow(expect.objectContaining({ code: 'internal' }));
  },
);

test('folders come outermost first', () => {
  expect(foldersOf('a/b/c')).toEqual(['a', 'a/b']);
  expect(foldersOf('c')).toEqual([]);
});

test('temporary names are in the same folder and differ', () => {
  expect(temporaryNameFor('a/b')).toMatch(/^a\/b\.part-[0-9a-f]{12}$/);
  expect(temporaryNameFor('a')).not.toBe(temporaryNameFor('a'));
});

test('only temporary names are recognized as such', () => {
  expect(isTemporaryName(temporaryNameFor('a'))).toBe(true);
  for (const name of ['a', 'a.part', 'a.part-', 'a.part-0123456789abc', 'a.part-0123456789ab.tar'])
    expect(isTemporaryName(name)).toBe(false);
});

test('a listed name that leads elsewhere is not an entry', () => {
  for (const name of ['a', '..a', 'a b']) expect(isEntryName(name)).toBe(true);
  for (const name of ['', '.', '..', 'a/b', '/a', 'a\0']) expect(isEntryName(name)).toBe(false);
});

import { expect, test } from '@jest/globals';
import { factsOf } from '../../../../src/store/sftp/attributes.ts';

test('the kind comes from the mode, or from the line of ls -l', () => {
  expect(factsOf({ mode: 0o100600, size: 5, mtime: 7 })).toEqual({
    kind: 'file',
    sizeBytes: 5,
    modifiedMs: 7000,
  });
  expect(factsOf({ mode: 0o040755 }, '-rw-------').kind).toBe('folder');
  expect(factsOf({ mode: 0o120777 }).kind).toBe('link');
  expect(factsOf({ mode: 0o010600 }).kind).toBe('other');
  expect(factsOf({}, 'drwxr-xr-x 2 0 0 4096 Jan 1 00:00 a').kind).toBe('folder');
  expect(factsOf({}, '-rw------- 1 0 0 0 Jan 1 00:00 a').kind).toBe('file');
});

test('facts that the server left out are null', () => {
  expect(factsOf({})).toEqual({ kind: null, sizeBytes: null, modifiedMs: null });
  expect(factsOf({ size: 0, mtime: 0 })).toEqual({ kind: null, sizeBytes: 0, modifiedMs: 0 });
});

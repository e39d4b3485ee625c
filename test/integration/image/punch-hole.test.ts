import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { punchHole } from '../../../src/system/native.ts';
import { runTool, scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const SIZE = 2 ** 20;
const content = seededBytes(1, SIZE);

let scratch: ReturnType<typeof scratchDirectory>;
beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

test('a hole reads as zero, takes no space, and keeps the size', () => {
  const path = join(scratch.path, 'file');
  writeFileSync(path, content);
  const fd = openSync(path, 'r+');
  const before = fstatSync(fd).blocks;
  expect(punchHole(fd, 65536, 2 ** 19)).toBe(true);
  expect(punchHole(fd, SIZE - 100, 4096)).toBe(true);
  expect(fstatSync(fd)).toMatchObject({ size: SIZE });
  expect(fstatSync(fd).blocks).toBeLessThan(before - 900);
  closeSync(fd);
  const expected = Buffer.from(content);
  expected.fill(0, 65536, 65536 + 2 ** 19).fill(0, SIZE - 100);
  expect(readFileSync(path).equals(expected)).toBe(true);
});

test('a file that may not be written is refused', () => {
  const path = join(scratch.path, 'file');
  writeFileSync(path, content);
  const fd = openSync(path, 'r');
  expect(() => punchHole(fd, 0, 4096)).toThrow('fallocate: EBADF');
  closeSync(fd);
});

describeUnless(process.getuid?.() === 0 ? null : 'mounting needs root', 'a file system without holes', () => {
  test('is detected, and the file is unchanged', () => {
    const directory = join(scratch.path, 'mounted');
    mkdirSync(directory);
    runTool('mount', ['-t', 'ramfs', 'ramfs', directory]);
    try {
      const path = join(directory, 'file');
      writeFileSync(path, content);
      const fd = openSync(path, 'r+');
      expect(punchHole(fd, 0, 65536)).toBe(false);
      closeSync(fd);
      expect(readFileSync(path).equals(content)).toBe(true);
    } finally {
      runTool('umount', [directory]);
    }
  });
});

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { replaceFile } from '../../../src/system/replace-file.ts';
import { scratchDirectory } from '../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let file: string;

beforeEach(() => {
  scratch = scratchDirectory();
  file = join(scratch.path, 'state.json');
});

afterEach(() => scratch[Symbol.dispose]());

test('a file is made and replaced with exactly the given mode', async () => {
  const before = process.umask(0o077);
  try {
    await replaceFile(file, 'first', 0o644);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    await replaceFile(file, 'second', 0o600);
  } finally {
    process.umask(before);
  }
  expect(readFileSync(file, 'utf8')).toBe('second');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(scratch.path)).toEqual(['state.json']);
});

test('several concurrent writes in one process each write a whole file', async () => {
  const texts = Array.from({ length: 20 }, (_, number) => String(number).repeat(50_000));
  await Promise.all(texts.map((text) => replaceFile(file, text, 0o600)));
  expect(texts).toContain(readFileSync(file, 'utf8'));
  expect(readdirSync(scratch.path)).toEqual(['state.json']);
});

test('a file that cannot be replaced stays, and no other file is left', async () => {
  mkdirSync(join(file, 'full'), { recursive: true });
  await expect(replaceFile(file, 'x', 0o600)).rejects.toMatchObject({ syscall: 'rename' });
  await expect(replaceFile(join(scratch.path, 'none', 'x'), 'x', 0o600)).rejects.toMatchObject({
    code: 'ENOENT',
  });
  expect(readdirSync(scratch.path)).toEqual(['state.json']);
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

test('doc/glossary.md has the words that commands use, in their order, and README leads to it', () => {
  const words = [...read('doc/glossary.md').matchAll(/^\| (?!word|-)([^|]+?) \|/gm)].map(
    ([, word = '']) => word,
  );
  expect(words).toEqual(
    expect.arrayContaining(['pack', 'chunk', 'fence', 'frozen', 'trash', 'grace', 'snapshot', 'store']),
  );
  expect(words).toEqual(words.toSorted((one, other) => one.localeCompare(other, 'en')));
  expect(read('README.md')).toContain('(doc/glossary.md)');
});

test('sizes are written by formatBytes, except where a single byte matters', () => {
  // Messages about free room once used bytes, KiB and MiB.
  for (const file of ['image/target/target-place.ts', 'operations/receive/check.ts', 'store/sftp/failure.ts'])
    expect(read(`src/${file}`)).not.toMatch(/2 \*\* 20|\/ 1024|bytes free/);
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { exitStatusByCode } from '../../src/failure.ts';

const document = readFileSync(join(import.meta.dirname, '..', '..', 'doc', 'errors.md'), 'utf8');
const rows = [...document.matchAll(/^\| (\d+) \| `([a-z-]+)` \| (.+) \| (.+) \|$/gm)];

test('doc/errors.md has each code with its exit status, in the order of the source, and no other', () => {
  expect(rows.map(([, status, code]) => [code, Number(status)])).toEqual(Object.entries(exitStatusByCode));
});

test('each row says what it means and what to do', () => {
  const allRows = document.match(/^\| \d+ \|/gm) ?? [];
  expect(allRows).toHaveLength(rows.length);
  for (const [, , , meaning, advice] of rows) {
    expect(meaning).toMatch(/^[A-Z].*\.$/);
    expect(advice).toMatch(/^\S.*\.$/);
  }
});

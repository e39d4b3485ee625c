import { expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

interface Tier {
  name: string;
  longest?: readonly string[];
}

const { tiers } = (await import(join(import.meta.dirname, '../setup/tiers.mjs'))) as { tiers: Tier[] };
const { default: LongestFirst } = (await import(join(import.meta.dirname, '../setup/longest-first.mjs'))) as {
  default: new () => { sort(tests: { path: string }[]): { path: string }[] };
};

test('each test file that is to start first is there', () => {
  const files = tiers.flatMap(({ name, longest = [] }) =>
    longest.map((file) => join(import.meta.dirname, '..', name, `${file}.test.ts`)),
  );
  expect(files.length).toBeGreaterThan(0);
  expect(files.filter((file) => !existsSync(file))).toEqual([]);
});

test('long files start first, in their order, and all others by name', () => {
  const { longest = [] } = tiers.find(({ name }) => name === 'emulated') ?? {};
  const wanted = [...longest, 'a', 'b'].map((name) => ({ path: `/test/emulated/${name}.test.ts` }));
  expect(new LongestFirst().sort(wanted.toReversed())).toEqual(wanted);
});

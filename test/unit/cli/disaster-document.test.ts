import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Command } from '../../../src/cli/options/command.ts';
import { commands } from '../../../src/cli/commands.ts';
import { parseCommandLine } from '../../../src/cli/options/parse.ts';

/** Checks that vmferry accepts each command in doc/disaster.md: its readers are in a hurry. */
const text = readFileSync(join(import.meta.dirname, '..', '..', '..', 'doc', 'disaster.md'), 'utf8');
const fenced = [...text.matchAll(/^ *```\n([\s\S]*?)```/gm)].flatMap(([, block = '']) =>
  block.trim().split('\n'),
);
const inline = [...text.matchAll(/`(vmferry \w+ [^`]*)`/g)].map(([, line = '']) => line);
const lines = [...fenced, ...inline]
  .map((line) => line.trim())
  .filter((line) => line !== 'vmferry key export');

test('the page has enough commands', () => {
  expect(lines.length).toBeGreaterThan(12);
});

test.each(lines)('%s is a valid command line', async (line) => {
  const all: readonly Command<never>[] = commands;
  const options = { version: '0', columns: 80 };
  expect(await parseCommandLine(line.split(' ').slice(1), all, options)).toMatchObject({ kind: 'command' });
});

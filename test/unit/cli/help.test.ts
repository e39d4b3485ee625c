import { describe, expect, test } from '@jest/globals';
import type { Argv } from 'yargs';
import type { Command } from '../../../src/cli/options/command.ts';
import { commands } from '../../../src/cli/commands.ts';
import { collectExamples, type Example } from '../../../src/cli/options/help-examples.ts';
import { parseCommandLine } from '../../../src/cli/options/parse.ts';

const all: readonly Command<never>[] = commands;
const shown = all.filter(({ internal }) => internal !== true);

async function textOf(argv: readonly string[], columns = 80): Promise<string> {
  const parsed = await parseCommandLine(argv, all, { version: '1.2.3', columns });
  if (parsed.kind !== 'text') throw new Error(`${argv.join(' ')} is no question for a text`);
  return parsed.text;
}

/** The examples in a command's definition. */
function examplesOf(command: Command<never>): Example[] {
  const examples: Example[] = [];
  const parser: object = new Proxy({}, { get: () => () => parser, set: () => true });
  const collecting: object = new Proxy(collectExamples({} as Argv, examples), {
    get: (target, name) =>
      name === 'example'
        ? (...args: [string, string]) => (target.example(...args), collecting)
        : () => collecting,
  });
  command.define(collecting as Argv);
  return examples;
}

describe.each(shown.map((command) => [command.usage.split(' ')[0] ?? '', command] as const))(
  '%s --help',
  (word, command) => {
    test.each([40, 80])('shows each example on one line, at %d columns', async (columns) => {
      const lines = (await textOf([word, '--help'], columns)).split('\n');
      const examples = examplesOf(command);
      expect(examples.length).toBeGreaterThan(0);
      for (const { command: example } of examples) expect(lines).toContain(`  ${example}`);
      // A terminal of 80 columns does not break them either.
      for (const { command: example } of examples) expect(example.length + 2).toBeLessThanOrEqual(80);
    });

    test('is the same as help and -h', async () => {
      const help = await textOf([word, '--help']);
      expect(await textOf(['help', word])).toBe(help);
      expect(await textOf([word, '-h'])).toBe(help);
    });
  },
);

test('the program answers help, -h and -v', async () => {
  const help = await textOf(['--help']);
  expect(await textOf(['help'])).toBe(help);
  expect(await textOf(['-h'])).toBe(help);
  expect(await textOf(['-v'])).toBe('1.2.3');
});

test.each(['stop', 'shutdown'])('%s is halt', async (word) => {
  const parsed = await parseCommandLine([word, 'web'], all, { version: '1', columns: 80 });
  expect(parsed).toMatchObject({ kind: 'command', command: { usage: 'halt [guests..]' } });
});

test('help for an unknown command is an error', async () => {
  await expect(textOf(['help', 'mount'])).rejects.toMatchObject({
    code: 'usage',
    message: 'There is no command "mount".',
  });
});

import type { Argv } from 'yargs';

export interface Example {
  command: string;
  /** What it does. */
  meaning: string;
}

/**
 * Collects a command's examples, so that yargs does not print them in columns with line breaks: a person who copies only
 * the first line of `migrate web --to newhost --dry-run` would move the guest.
 */
export function collectExamples(parser: Argv, examples: Example[]): Argv {
  return Object.assign(parser, {
    example(command: string, meaning: string) {
      examples.push({ command: command.replace('$0', 'vmferry'), meaning });
      return parser;
    },
  });
}

/** The end of a help text: each command on a line of its own, never broken, however narrow the terminal is. */
export function examplesText(examples: readonly Example[], columns: number): string {
  const texts = examples.map(
    ({ command, meaning }) => `  ${command}\n${wrapped(meaning, columns, '      ')}`,
  );
  return ['Examples:', ...texts].join('\n');
}

function wrapped(text: string, columns: number, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${indent}${one}`).join('\n');
}

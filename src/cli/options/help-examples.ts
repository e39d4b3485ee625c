import type { Argv } from 'yargs';

export interface Example {
  command: string;
  /** What it does. */
  meaning: string;
}

/**
 * Takes a command's examples from its definition. yargs puts them into columns and breaks them there: the first line of
 * `migrate web --to newhost --dry-run`, copied, would move the guest.
 */
export function collectExamples(parser: Argv, examples: Example[]): Argv {
  return Object.assign(parser, {
    example(command: string, meaning: string) {
      examples.push({ command: command.replace('$0', 'vmferry'), meaning });
      return parser;
    },
  });
}

/** For the end of a help text: each command whole, on a line of its own, however narrow the terminal is. */
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

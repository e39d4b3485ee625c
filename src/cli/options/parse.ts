import yargs from 'yargs';
import { Failure } from '../../failure.ts';
import type { Command, Run } from './command.ts';
import { collectExamples, examplesText, type Example } from './help-examples.ts';
import { meantCommand } from './meant-command.ts';
import { globalOptions, type Arguments } from './options.ts';

/** What a command line asks for: a text to print (help or version), or a command to run. */
export type ParsedCommandLine<Dependencies> =
  | { kind: 'text'; text: string }
  | { kind: 'command'; args: Arguments; command: Command<Dependencies>; run: Run<Dependencies> };

export interface ParseOptions {
  version: string;
  /** The terminal's width, in characters. */
  columns: number;
}

/**
 * Stands for `-`, standard input, while the parser works: it would take that for an option without a name. No argument of a program has a
 * NUL.
 */
const STANDARD_INPUT = '\0-';

const introduction = `Usage: $0 COMMAND [OPTIONS]

Moves a virtual machine guest to new hardware: halts it here, sends its disk over ssh, reads it back there and compares it, and boots the guest. Backs guests up to a directory or to any SFTP account.`;

const ending = `Help for a command, with examples: '$0 COMMAND --help'. Exit statuses: doc/errors.md. Words such as pack, fence and trash: doc/glossary.md.`;

/** Parses a command line without running anything. Throws Failure `usage` for a command line that is wrong. */
export async function parseCommandLine<Dependencies>(
  typed: readonly string[],
  commands: readonly Command<Dependencies>[],
  options: ParseOptions,
): Promise<ParsedCommandLine<Dependencies>> {
  const argv = withHelpOption(typed, commands).map((word) => (word === '-' ? STANDARD_INPUT : word));
  const examples: Example[] = [];
  let output = '';
  let chosen: { command: Command<Dependencies>; args: Arguments } | null = null;
  let parser = yargs()
    .scriptName('vmferry')
    .locale('en')
    .parserConfiguration({
      'boolean-negation': false,
      // Without this, the parser keeps only the last of several guests: see `lastOfEach`.
      'duplicate-arguments-array': true,
      'parse-positional-numbers': false,
    })
    .wrap(Math.min(100, options.columns))
    .usage(introduction)
    .epilogue(ending)
    .options(globalOptions)
    .help()
    .alias('help', 'h')
    .version(options.version)
    .alias('version', 'v')
    .strict()
    .demandCommand(1, 'A command is missing.')
    .exitProcess(false)
    .fail((message, error) => {
      // No code of vmferry runs in here, so an error comes from the parser.
      throw asUsageFailure(error?.message ?? message, argv, commands);
    });
  for (const command of commands)
    parser = parser.command({
      command: command.usage,
      aliases: command.aliases ?? [],
      describe: command.internal === true ? false : command.summary,
      builder: (one) =>
        command
          .define(collectExamples(one, examples))
          .usage(`Usage: $0 ${command.usage} [OPTIONS]\n\n${command.summary}`)
          .epilogue('')
          // The help shows groups in the order in which they are named first: the command's own options first.
          .group([], 'Options:')
          .group([...Object.keys(globalOptions), 'help', 'version'], 'For every command:'),
      handler: (args) => {
        chosen = { command, args: lastOfEach(args, command) };
      },
    });
  await parser.parseAsync([...argv], {}, (_error: unknown, _args: unknown, text: string) => {
    output = text;
  });
  if (chosen !== null) return readCommand(chosen);
  const isHelp = output.startsWith('Usage:') && examples.length > 0;
  return { kind: 'text', text: isHelp ? `${output}\n\n${examplesText(examples, options.columns)}` : output };
}

/** Turns `help COMMAND` into `COMMAND --help`. Throws Failure `usage` if there is no such command. */
function withHelpOption<Dependencies>(
  argv: readonly string[],
  commands: readonly Command<Dependencies>[],
): readonly string[] {
  const [word, ...rest] = argv;
  if (word !== 'help') return argv;
  const [name] = rest.filter((argument) => !argument.startsWith('-'));
  if (name !== undefined && commandOf(name, commands) === undefined) throw unknownCommand(name, commands);
  return [...(name === undefined ? [] : [name]), '--help'];
}

function commandOf<Dependencies>(
  word: string | undefined,
  commands: readonly Command<Dependencies>[],
): Command<Dependencies> | undefined {
  if (word === undefined) return undefined;
  return commands.find(({ usage, aliases = [] }) => usage.split(' ')[0] === word || aliases.includes(word));
}

function unknownCommand<Dependencies>(word: string, commands: readonly Command<Dependencies>[]): Failure {
  const names = commands
    .filter(({ internal }) => internal !== true)
    .map(({ usage }) => usage.split(' ')[0] ?? '');
  const meant = meantCommand(word, names);
  const suggestion = meant === null ? '' : ` Did you mean ${meant}?`;
  return new Failure('usage', `There is no command ${JSON.stringify(word)}.${suggestion}`, {
    advice: 'See: vmferry --help',
  });
}

/** Takes the last value of an option that was given several times, but all values of `<guests..>` and of repeatable options. */
function lastOfEach(
  args: Arguments,
  { usage, repeatable = [] }: { usage: string; repeatable?: readonly string[] },
): Arguments {
  const several = /[<[](\w+)\.\.[>\]]/.exec(usage)?.[1];
  const entries = Object.entries(args).map(([name, value]): [string, unknown] => {
    if (!Array.isArray(value)) return [name, asTyped(value)];
    const all = value.map(asTyped);
    return [name, name === several || repeatable.includes(name) ? all : all.at(-1)];
  });
  return Object.fromEntries(entries);
}

function asTyped(value: unknown): unknown {
  return value === STANDARD_INPUT ? '-' : value;
}

function readCommand<Dependencies>({
  command,
  args,
}: {
  command: Command<Dependencies>;
  args: Arguments;
}): ParsedCommandLine<Dependencies> {
  try {
    return { kind: 'command', args, command, run: command.read(args) };
  } catch (error) {
    if (!(error instanceof Failure) || error.advice !== undefined) throw error;
    throw new Failure(error.code, error.message, { advice: usageAdvice(command), cause: error });
  }
}

/** The failure for a command line that the parser refuses, before a command reads it. */
function asUsageFailure<Dependencies>(
  message: string,
  argv: readonly string[],
  commands: readonly Command<Dependencies>[],
): Failure {
  const word = argv.find((arg) => !arg.startsWith('-'));
  const command = commandOf(word, commands);
  const said = sentence(message.replaceAll(STANDARD_INPUT, '-'), command?.usage ?? '');
  if (command !== undefined) return new Failure('usage', said, { advice: usageAdvice(command) });
  if (word !== undefined) return unknownCommand(word, commands);
  return new Failure('usage', said, { advice: 'See: vmferry --help' });
}

function usageAdvice({ usage }: { usage: string }): string {
  return `Usage: vmferry ${usage} [OPTIONS]; see: vmferry ${usage.split(' ')[0]} --help`;
}

/** The parser reports an option with a hyphen twice: `no-encrypt, noEncrypt`. */
function unknownArguments(names: readonly string[]): string {
  const typed = names.filter((name) => {
    const hyphened = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return hyphened === name || !names.includes(hyphened);
  });
  return `Unknown argument${typed.length === 1 ? '' : 's'}: ${typed.join(', ')}.`;
}

function sentence(message: string, usage: string): string {
  const given = /^Not enough non-option arguments: got (\d+)/.exec(message)?.[1];
  if (given !== undefined) {
    const missing = [...usage.matchAll(/<(\w+)/g)][Number(given)]?.[1];
    return missing === undefined ? 'An argument is missing.' : `The argument ${missing} is missing.`;
  }
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1];
  if (unknown !== undefined) return unknownArguments(unknown.split(', '));
  return /[.?]$/.test(message) ? message : `${message}.`;
}

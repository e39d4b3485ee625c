import yargs from 'yargs';
import { Failure } from '../failure.ts';
import type { Command, Run } from './command.ts';
import { globalOptions, type Arguments } from './options.ts';

/** What a command line asks for: a text to print (the help, the version), or a command to run. */
export type ParsedCommandLine<Dependencies> =
  | { kind: 'text'; text: string }
  | { kind: 'command'; args: Arguments; command: Command<Dependencies>; run: Run<Dependencies> };

export interface ParseOptions {
  version: string;
  /** The terminal's width, in characters. */
  columns: number;
}

const introduction = `Usage: $0 COMMAND [OPTIONS]

Moves a virtual machine guest to new hardware: halts it here, sends its disk over ssh, proves that what was written there is what was read here, and boots it there.`;

const ending = `'$0 COMMAND --help' explains a command, with examples. Exit statuses: doc/errors.md.`;

/** Reads a command line; runs nothing. Throws Failure `usage` for what it does not understand. */
export async function parseCommandLine<Dependencies>(
  argv: readonly string[],
  commands: readonly Command<Dependencies>[],
  options: ParseOptions,
): Promise<ParsedCommandLine<Dependencies>> {
  let parsed: ParsedCommandLine<Dependencies> = { kind: 'text', text: '' };
  let parser = yargs()
    .scriptName('vmferry')
    .locale('en')
    .parserConfiguration({
      'boolean-negation': false,
      'duplicate-arguments-array': false,
      'parse-positional-numbers': false,
    })
    .wrap(Math.min(100, options.columns))
    .usage(introduction)
    .epilogue(ending)
    .options(globalOptions)
    .group([...Object.keys(globalOptions), 'help', 'version'], 'For every command:')
    .help()
    .version(options.version)
    .strict()
    .demandCommand(1, 'Say what to do: a command is missing.')
    .recommendCommands()
    .exitProcess(false)
    .fail((message, error) => {
      throw asUsageFailure(message, error, argv, commands);
    });
  for (const command of commands)
    parser = parser.command({
      command: command.usage,
      describe: command.internal === true ? false : command.summary,
      builder: (one) =>
        command.define(one).usage(`Usage: $0 ${command.usage} [OPTIONS]\n\n${command.summary}`).epilogue(''),
      handler: (args) => {
        parsed = { kind: 'command', args, command, run: command.read(args) };
      },
    });
  await parser.parseAsync([...argv], {}, (_error: unknown, _args: unknown, output: string) => {
    if (output !== '') parsed = { kind: 'text', text: output };
  });
  return parsed;
}

/** What the parser finds wrong is the person's mistake; an error that it merely passes on is what it is. */
function asUsageFailure<Dependencies>(
  message: string | null,
  error: Error | undefined,
  argv: readonly string[],
  commands: readonly Command<Dependencies>[],
): Error {
  if (error instanceof Failure && error.advice !== undefined) return error;
  if (error !== undefined && !(error instanceof Failure) && error.name !== 'YError') return error;
  const word = argv.find((arg) => !arg.startsWith('-'));
  const command = commands.find(({ usage }) => usage.split(' ')[0] === word);
  const said = sentence(error?.message ?? message ?? 'It is not understood.');
  if (command === undefined) {
    const suggestion = said.startsWith('Did you mean') ? ` ${said}` : '';
    const unknown = word === undefined ? said : `There is no command ${JSON.stringify(word)}.${suggestion}`;
    return new Failure('usage', unknown, { advice: 'See: vmferry --help', cause: error });
  }
  return new Failure('usage', said, {
    advice: `Usage: vmferry ${command.usage} [OPTIONS]; see: vmferry ${word} --help`,
    cause: error,
  });
}

function sentence(message: string): string {
  if (message.startsWith('Not enough non-option arguments')) return 'An argument is missing.';
  return /[.?]$/.test(message) ? message : `${message}.`;
}

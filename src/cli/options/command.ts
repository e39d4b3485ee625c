import type { Readable, Writable } from 'node:stream';
import type { Argv } from 'yargs';
import type { Context } from '../../events.ts';
import type { Arguments } from './options.ts';
import type { CommandResult } from '../reporters/reporter.ts';

/** One command of the command line: its arguments, and what it does. */
export interface Command<Dependencies> {
  /** The command and its positionals, as yargs writes them: `migrate <guest>`. */
  usage: string;
  summary: string;
  /** Other names of the command. */
  aliases?: readonly string[];
  /** Not for people: the help leaves it out, and only the command itself prints to stdout. */
  internal?: true;
  /** The options that may be given several times. */
  repeatable?: readonly string[];
  /** Declares positionals, options and examples. */
  define: (parser: Argv) => Argv;
  /** Reads the arguments and does nothing else. Throws Failure `usage`. */
  read: (args: Arguments) => Run<Dependencies>;
}

/** Loads and runs the command's operation. It is loaded only now, so that the help is quick. */
export type Run<Dependencies> = (environment: CommandEnvironment<Dependencies>) => Promise<CommandResult>;

export interface CommandEnvironment<Dependencies> {
  dependencies: Dependencies;
  context: Context;
  stdin: Readable;
  stdout: Writable;
}

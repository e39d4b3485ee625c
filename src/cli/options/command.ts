import type { Readable, Writable } from 'node:stream';
import type { Argv } from 'yargs';
import type { Context } from '../../events.ts';
import type { Arguments } from './options.ts';
import type { CommandResult } from '../reporters/reporter.ts';

/** One word of the command line: what it takes, and what it does with that. */
export interface Command<Dependencies> {
  /** The word and its positionals, as yargs writes them: `migrate <guest>`. */
  usage: string;
  summary: string;
  /** Other words for the same command. */
  aliases?: readonly string[];
  /** Not for people: left out of the help. Its stdout is its own, so nothing else is ever printed there. */
  internal?: true;
  /** Declares positionals, options and examples. */
  define: (parser: Argv) => Argv;
  /** Reads the arguments without doing anything yet. Throws Failure `usage`. */
  read: (args: Arguments) => Run<Dependencies>;
}

/** Loads and calls the one operation that the command stands for; the help is quicker for not loading any. */
export type Run<Dependencies> = (environment: CommandEnvironment<Dependencies>) => Promise<CommandResult>;

export interface CommandEnvironment<Dependencies> {
  dependencies: Dependencies;
  context: Context;
  stdin: Readable;
  stdout: Writable;
}

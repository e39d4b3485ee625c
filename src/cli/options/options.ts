import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';

/** The parsed command line, by the options' long names. */
export type Arguments = Readonly<Record<string, unknown>>;

/** The options that every command takes. */
export interface GlobalOptions {
  json: boolean;
  verbose: boolean;
  quiet: boolean;
}

export const globalOptions = {
  json: {
    type: 'boolean',
    describe: 'Print events and the result as JSON, one object per line',
  },
  verbose: {
    type: 'boolean',
    describe: 'Show the causes of errors (or VMFERRY_DEBUG=1)',
  },
  quiet: {
    type: 'boolean',
    describe: 'Show only warnings, errors and requested results; no progress, no summary',
  },
} as const satisfies Record<keyof GlobalOptions, Options>;

export function readGlobalOptions(args: Arguments, environment: NodeJS.ProcessEnv): GlobalOptions {
  return {
    json: flag(args, 'json'),
    verbose: flag(args, 'verbose') || environment['VMFERRY_DEBUG'] === '1',
    quiet: flag(args, 'quiet'),
  };
}

export function flag(args: Arguments, name: string): boolean {
  return args[name] === true;
}

/** The text of a positional or an option. Throws Failure `usage` when it is missing or empty. */
export function text(args: Arguments, name: string): string {
  const value = optionalText(args, name);
  if (value === null) throw new Failure('usage', `${name} is missing.`);
  return value;
}

/** Null when not given. Throws Failure `usage` when empty. */
export function optionalText(args: Arguments, name: string): string | null {
  const value = args[name];
  if (value === undefined) return null;
  if (typeof value !== 'string' || value === '') throw new Failure('usage', `${name} is empty.`);
  return value;
}

/** All values of an option that may be given several times. Throws Failure `usage` when one is empty. */
export function texts(args: Arguments, name: string): string[] {
  const value = args[name];
  const values: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return values.map((one) => text({ [name]: one }, name));
}

/** An option that has a default. Throws Failure `usage` for anything but a whole number within the bounds. */
export function wholeNumber(args: Arguments, name: string, least: number, most: number): number {
  const value = args[name];
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Failure('usage', `--${name} takes a whole number from ${least} to ${most}.`);
}

/** The same for an option that also takes one word. */
export function wholeNumberOr<Word extends string>(
  args: Arguments,
  name: string,
  least: number,
  most: number,
  word: Word,
): number | Word {
  const value = optionalText(args, name);
  if (value === word) return word;
  const number = /^[0-9]{1,9}$/.test(value ?? '') ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new Failure('usage', `--${name} takes ‘${word}’ or a whole number from ${least} to ${most}.`);
}

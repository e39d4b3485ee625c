import { resolve } from 'node:path';
import type { Options } from 'yargs';
import { Failure } from '../../../failure.ts';
import type { MoveOptions } from '../../../operations/migrate/migration-report.ts';
import { shellLine } from '../../../quote-for-shell.ts';
import type { Arguments } from '../options.ts';
import { cutoverToResume, notedCutover } from './hold-options.ts';
import { migrateOptions } from './migrate-options.ts';

/** What may be typed beside --resume: whatever a move that broke off may need in addition. */
const addable = ['dry-run', 'overwrite', 'force-halt', 'hold', 'cutover'];
/** How the command is used, not how the guest moves. */
const notNoted = ['dry-run', 'resume', 'service', 'via'];

/** The options of a move that were typed, for `--resume`: no defaults, and paths that hold in any directory. */
export function optionsToNote(args: Arguments, now = new Date()): MoveOptions {
  return Object.fromEntries(
    Object.keys(migrateOptions)
      .filter((name) => !notNoted.includes(name) && isTyped(args, name))
      .map((name) => [name, noted(name, args[name], now)]),
  );
}

function noted(name: string, value: unknown, now: Date): MoveOptions[string] {
  if (name === 'cutover' && typeof value === 'string') return notedCutover(value, now);
  if (name === 'ssh-config' && typeof value === 'string') return resolve(value);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  const words = [value].flat().map(String);
  return name === 'backing-directory' ? words.map((path) => resolve(path)) : words;
}

/** Throws Failure `usage` unless it is one guest, and all other options can be added to a move that broke off. */
export function readResumed(args: Arguments, guests: readonly string[] | null): string {
  const [guest, other] = guests ?? [];
  if (guest === undefined || other !== undefined)
    throw new Failure('usage', '--resume goes on with the move of one guest.', { advice: 'Name one guest.' });
  const names = [...Object.keys(migrateOptions), 'keep-going'];
  const unwanted = names.find((name) => name !== 'resume' && !addable.includes(name) && isTyped(args, name));
  if (unwanted !== undefined)
    throw new Failure(
      'usage',
      `--${unwanted} cannot be changed with --resume: the move goes on with the options with which it began.`,
      { advice: `Leave out --${unwanted}. Or leave out --resume, and give the whole command.` },
    );
  return guest;
}

/** The arguments of the command that goes on: what was noted, and what was added now. */
export function argumentsToResume(args: Arguments, options: MoveOptions, now = new Date()): Arguments {
  const isHeldAnew = isTyped(args, 'hold') || isTyped(args, 'cutover');
  const { hold, cutover, ...rest } = options;
  const held = {
    ...(hold !== undefined && { hold }),
    ...(cutover !== undefined && { cutover: cutoverToResume(String(cutover), now) }),
  };
  const added = addable.filter((name) => isTyped(args, name)).map((name) => [name, args[name]] as const);
  return { ...args, ...rest, ...(isHeldAnew ? {} : held), ...Object.fromEntries(added) };
}

/** The command as it would be typed without --resume. */
export function wholeCommand(guest: string, args: Arguments): string {
  const words = Object.entries(optionsToNote(args)).flatMap(([name, value]) =>
    [value].flat().flatMap((one) => (one === true ? [`--${name}`] : [`--${name}`, String(one)])),
  );
  return shellLine(['vmferry', 'migrate', guest, ...words]);
}

/** A value that is the default counts as not typed. */
function isTyped(args: Arguments, name: string): boolean {
  const value = args[name];
  if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) return false;
  const options: Readonly<Record<string, Options>> = migrateOptions;
  return value !== options[name]?.default;
}

import { z } from 'zod';
import { Failure } from '../failure.ts';
import { here, placed, vmferry, type PlacedText } from '../placed-text.ts';
import { parseGuestDefinition, type GuestDefinition } from './definition.ts';
import { guestSourceSchema, MOST_SOURCES, type GuestSource } from './guest-source.ts';

/** `moving`: a move has begun and not ended. `moved`: the guest runs, or is about to run, on the new hardware. */
export type GuestState = 'running' | 'halted' | 'moving' | 'moved';

/** The options of `vmferry migrate`, by their long names, as they were typed: `migrate --resume` goes on with them. */
export type MoveOptions = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Where a guest went, and how to contact vmferry there. */
export interface GuestMove {
  /** As it is typed after `ssh`. */
  destination: string;
  /** The directory of its images there; null when unknown. */
  directory: string | null;
  sshConfigFile: string | null;
  /**
   * The command that starts vmferry there; null when the guest came from there and the command is unknown, and when there is no vmferry
   * (`via`).
   */
  remoteCommand: string | null;
  /** The guest went to a machine without vmferry, through this program. */
  via?: 'bzip2';
  /** The process here that moves or moved it. */
  mover?: { pid: number; startTimeTicks: number };
  /** Present until the fence, in a move that can be resumed. */
  options?: MoveOptions;
  /** When the guest was seen to be up there, in ISO 8601 (UTC). Absent: that is not known. */
  upAt?: string;
  /** When `vmferry commit` ended the way back. */
  committedAt?: string;
}

/** A copy of a running guest that is under way, or that a move has left on the new hardware. */
export interface GuestCopying {
  destination: string;
  /** Absent: the move has ended, and what was copied stays there. */
  mover?: NonNullable<GuestMove['mover']>;
  /** Present in a move that can be resumed. */
  options?: MoveOptions;
  /** Where the mover copies the guest to, if that is a rehearsal and all else is of a move that broke off. */
  rehearsedTo?: string;
  /** `waiting`: the copy is kept close to the guest until a time, or until `vmferry cutover`, which makes it `released`. */
  hold?: 'waiting' | 'released';
}

/** What this machine remembers of a guest: how to start it, and whether it may be started. */
export interface GuestRecord {
  version: 1;
  definition: GuestDefinition;
  /** As vmferry left it; a guest that was `running` may have ended since. */
  state: GuestState;
  /** ISO 8601, in UTC. */
  changedAt: string;
  /** Present in the states `moving` and `moved`. */
  move?: GuestMove;
  /**
   * Present while a process here copies the guest, which runs on: it may then become `moving`. Once that process has ended, it only says how
   * to go on.
   */
  copying?: GuestCopying;
  /**
   * Present while the guest's hypervisor fences it, too: what `KeepingDriver.unfence` needs to put all back. The text is null
   * until the fence is complete.
   */
  fence?: { text: string | null };
  /**
   * Where the guest was before it was moved here or away from here, latest last. Snapshots that were made of it there
   * belong to this guest, too.
   */
  sources?: readonly GuestSource[];
}

const mover = z.strictObject({ pid: z.int(), startTimeTicks: z.int() });
const optionText = z.string().max(65_536);
const options = z.record(
  z.string().max(64),
  z.union([optionText, z.number(), z.boolean(), z.array(optionText).max(1024)]),
);

const guestRecord = z.strictObject({
  version: z.literal(1),
  definition: z.unknown(),
  state: z.enum(['running', 'halted', 'moving', 'moved']),
  changedAt: z.iso.datetime(),
  move: z
    .strictObject({
      destination: z.string().min(1),
      directory: z.string().nullable(),
      sshConfigFile: z.string().nullable(),
      remoteCommand: z.string().nullable(),
      via: z.literal('bzip2').exactOptional(),
      mover: mover.exactOptional(),
      options: options.exactOptional(),
      upAt: z.iso.datetime().exactOptional(),
      committedAt: z.iso.datetime().exactOptional(),
    })
    .exactOptional(),
  copying: z
    .strictObject({
      destination: z.string().min(1),
      mover: mover.exactOptional(),
      options: options.exactOptional(),
      rehearsedTo: z.string().min(1).exactOptional(),
      hold: z.enum(['waiting', 'released']).exactOptional(),
    })
    .exactOptional(),
  fence: z.strictObject({ text: z.string().max(65_536).nullable() }).exactOptional(),
  sources: z.array(guestSourceSchema).max(MOST_SOURCES).exactOptional(),
});

/**
 * Parses a record file. Throws Failure `guest-unsupported` for an invalid one, which is not ignored: it may be the record
 * that keeps a guest from running twice.
 */
export function parseGuestRecord(text: string, file: string): GuestRecord {
  refuseNewer(text, file);
  try {
    const record = guestRecord.parse(JSON.parse(text));
    const fenced = record.state === 'moving' || record.state === 'moved';
    if (fenced && record.move === undefined) throw new Error('it does not say where the guest went');
    return { ...record, definition: parseGuestDefinition(record.definition) };
  } catch (error) {
    throw new Failure('guest-unsupported', `The record of a guest in ${file} is not valid.`, {
      advice:
        'A newer vmferry may have written it: use that version. Otherwise make sure that the guest runs nowhere else, and remove the file.',
      cause: error,
    });
  }
}

/** Throws Failure `guest-unsupported` for a record that says that it is of a later version. */
function refuseNewer(text: string, file: string): void {
  const version = /^\s*\{\s*"version"\s*:\s*([0-9]{1,9})\s*[,}]/.exec(text)?.[1] ?? '1';
  if (Number(version) <= 1) return;
  throw new Failure('guest-unsupported', `The record of a guest in ${file} is of version ${version}.`, {
    advice: 'It was written by a later version: use that one.',
  });
}

/** Failure `guest-fenced` when the guest went to another machine and must not be started here; null when it did not. */
export function fenceOf(record: GuestRecord): Failure | null {
  if (record.move === undefined || (record.state !== 'moving' && record.state !== 'moved')) return null;
  const { name } = record.definition;
  const { destination, remoteCommand, committedAt } = record.move;
  const advice =
    remoteCommand === null
      ? noCommandAdvice(name, record.move)
      : committedAt !== undefined
        ? committedAdvice(name, destination)
        : placed`To have it back ${here}: \`${vmferry('revert', name)}\`.`;
  return new Failure(
    'guest-fenced',
    placed`${name} was ${describeMove(record)}. If it also started ${here}, it would run twice.`,
    { advice },
  );
}

/** How a guest went to another machine, as the end of a sentence: `moved to new:/srv on 2026-11-29`. */
export function describeMove({ state, move, changedAt }: GuestRecord): string {
  const { destination = 'another machine', directory = null, remoteCommand = null, via } = move ?? {};
  const place = directory === null ? destination : `${destination}:${directory}`;
  const day = changedAt.slice(0, 10);
  if (state === 'moving') return `being moved to ${place} since ${day}, and the move has not ended`;
  return remoteCommand === null && via === undefined
    ? `taken back to ${place} on ${day}`
    : `moved to ${place} on ${day}`;
}

/** For a guest whose move was committed: it has no way back by revert. */
export function committedAdvice(name: string, destination: string): PlacedText {
  return placed`To have it ${here} again, move it from ${destination} (vmferry migrate, typed there). If that machine is gone, restore the latest backup: \`${vmferry('restore', 'STORE', name, '--to', 'DIRECTORY', '--start', '--old-host-is-gone')}\`.`;
}

/** For a guest on a machine whose vmferry cannot be asked. */
export function noCommandAdvice(
  name: string,
  { destination, via }: Pick<GuestMove, 'destination' | 'via'>,
): PlacedText {
  if (via === undefined) return takenBackAdvice(name, destination);
  return placed`${destination} has no vmferry. To have ${name} back ${here} as it was before the move, end it there, and then: \`${vmferry('revert', name, '--new-host-is-gone')}\`.`;
}

/** For a guest that had come from the other machine and was taken back there. A revert cannot contact that machine. */
function takenBackAdvice(name: string, destination: string): PlacedText {
  return placed`To have it ${here} again, move it from ${destination}. If that machine is gone, restore the latest backup: \`${vmferry('restore', 'STORE', name, '--to', 'DIRECTORY', '--start', '--old-host-is-gone')}\`. Or start it as it was when it was taken back: \`${vmferry('revert', name, '--new-host-is-gone')}\`.`;
}

import type { Options } from 'yargs';
import { Failure } from '../../../failure.ts';
import type { HoldRequest } from '../../../operations/migrate/passes/hold.ts';
import { flag, optionalText, type Arguments } from '../options.ts';

/** When a guest that is copied while it runs is halted. */
export const holdOptions = {
  cutover: {
    type: 'string',
    requiresArg: true,
    describe:
      'Keep the copy close to the running guest, and halt it at this local time: 03:00, or 2026-12-24T03:00',
  },
  hold: {
    type: 'boolean',
    describe: 'The same, until you type: vmferry cutover GUEST',
  },
  service: {
    type: 'boolean',
    describe:
      'With --cutover or --hold: check the move now, and have a service of systemd make it, also after a reboot',
  },
} as const satisfies Record<string, Options>;

/** Null if neither option is given. Throws Failure `usage`. */
export function readHold(args: Arguments, now = new Date()): HoldRequest | null {
  const text = optionalText(args, 'cutover');
  const isHeld = text !== null || flag(args, 'hold');
  if (isHeld && flag(args, 'cold'))
    throw new Failure('usage', '--cold copies nothing while the guest runs, so there is nothing to hold.', {
      advice: 'Leave out --cold.',
    });
  if (flag(args, 'service') && !isHeld)
    throw new Failure('usage', '--service is for a copy that is kept close to its guest until a time.', {
      advice: 'Say until when: --cutover 03:00, or --hold.',
    });
  if (text === null) return isHeld ? { untilMs: null } : null;
  const untilMs = cutoverTimeMs(text, now);
  if (untilMs === null || untilMs <= now.getTime())
    throw new Failure('usage', `--cutover ${JSON.stringify(text)} is no time that is still to come.`, {
      advice: 'Give a local time: 03:00 for the next time that it is three, or 2026-12-24T03:00.',
    });
  return { untilMs };
}

/** A time that passed no longer ago than this is kept by a move that goes on: it was awaited. */
const LATE_MS = 3_600_000;
/** For a machine that is just up. */
const SOON_MS = 60_000;

/** The time of --cutover as a move notes it: the same for a process in another time zone, and on another day. */
export function notedCutover(text: string, now = new Date()): string {
  const timeMs = cutoverTimeMs(text, now);
  return timeMs === null ? text : isoTime(timeMs);
}

/** The time at which a move that goes on halts its guest: one that passed long ago comes again the next day. */
export function cutoverToResume(noted: string, now = new Date()): string {
  const timeMs = cutoverTimeMs(noted, now);
  if (timeMs === null || timeMs > now.getTime()) return noted;
  if (timeMs > now.getTime() - LATE_MS) return isoTime(now.getTime() + SOON_MS);
  const next = new Date(timeMs);
  while (next <= now) next.setDate(next.getDate() + 1);
  return isoTime(next.getTime());
}

const isoTime = (timeMs: number) => new Date(timeMs).toISOString().replace(/\.\d{3}Z$/, 'Z');

/** Milliseconds since 1970; null if the text is not understood. */
function cutoverTimeMs(text: string, now: Date): number | null {
  const { hours, minutes } = /^(?<hours>[01]\d|2[0-3]):(?<minutes>[0-5]\d)$/.exec(text)?.groups ?? {};
  if (hours !== undefined && minutes !== undefined) {
    const time = new Date(now);
    time.setHours(Number(hours), Number(minutes), 0, 0);
    if (time <= now) time.setDate(time.getDate() + 1);
    return time.getTime();
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z?$/.test(text)) return null;
  const timeMs = new Date(text).getTime();
  return Number.isNaN(timeMs) ? null : timeMs;
}

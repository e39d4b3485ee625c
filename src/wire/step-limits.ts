import type { MoverMessage } from './messages.ts';

/** What the mover waits for at the receiver: that it starts, that packs get there and into the image, or an answer. */
export type Step = 'ready' | 'copy' | Exclude<MoverMessage['type'], 'pack' | 'alive'>;

const MINUTE_MS = 60_000;

/**
 * How long the receiver may be without any progress in a step (doc/wire.md); `alive` is none. A `boot` and a `halt` have the
 * time for the guest besides.
 */
export const STEP_LIMITS_MS: Readonly<Record<Step, number>> = {
  ready: 2 * MINUTE_MS,
  check: 2 * MINUTE_MS,
  measure: 5 * MINUTE_MS,
  open: 2 * MINUTE_MS,
  copy: 2 * MINUTE_MS,
  // All that was written may have to get to the disk first, before the first byte is read back.
  finish: 5 * MINUTE_MS,
  publish: 5 * MINUTE_MS,
  boot: 1.5 * MINUTE_MS,
  halt: 1.5 * MINUTE_MS,
  commit: 0.5 * MINUTE_MS,
  abort: 0.5 * MINUTE_MS,
};

/** The ways of halting a guest, one after the other, each of which has its time. */
const WAYS_OF_HALTING = 4;

/** What the guest is given by the request. */
export function guestTimeMs(message: MoverMessage): number {
  if (message.type === 'boot') return message.timeoutMs;
  return message.type === 'halt' ? WAYS_OF_HALTING * message.timeoutMs : 0;
}

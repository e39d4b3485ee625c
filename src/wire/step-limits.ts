import type { MoverMessage } from './messages.ts';

/** What the mover waits for: the receiver's start, packs that are sent and applied, or an answer. */
export type Step = 'ready' | 'copy' | Exclude<MoverMessage['type'], 'pack' | 'clear' | 'alive'>;

const MINUTE_MS = 60_000;

/**
 * How long each step may go without progress (doc/wire.md); `alive` is no progress. For `rehearse`, `boot` and `halt`, the time that
 * the guest is given is added.
 */
export const STEP_LIMITS_MS: Readonly<Record<Step, number>> = {
  ready: 2 * MINUTE_MS,
  check: 2 * MINUTE_MS,
  measure: 5 * MINUTE_MS,
  open: 2 * MINUTE_MS,
  survey: 5 * MINUTE_MS,
  copy: 2 * MINUTE_MS,
  take: 2 * MINUTE_MS,
  // Before the first byte is read back, all that was written may have to reach the disk.
  pass: 5 * MINUTE_MS,
  finish: 5 * MINUTE_MS,
  publish: 5 * MINUTE_MS,
  adapt: 2 * MINUTE_MS,
  rehearse: 5 * MINUTE_MS,
  leave: 5 * MINUTE_MS,
  boot: 1.5 * MINUTE_MS,
  halt: 1.5 * MINUTE_MS,
  look: 2 * MINUTE_MS,
  commit: 0.5 * MINUTE_MS,
  abort: 0.5 * MINUTE_MS,
};

/** Ways of halting a guest; they are tried one after the other, each for the time that the guest is given. */
const WAYS_OF_HALTING = 4;

/** The time that the request gives the guest. */
export function guestTimeMs(message: MoverMessage): number {
  if (message.type === 'boot' || message.type === 'rehearse') return message.timeoutMs;
  return message.type === 'halt' ? WAYS_OF_HALTING * message.timeoutMs : 0;
}

/** Whether it is a request that has an answer. */
export function isStep(type: MoverMessage['type']): type is Exclude<Step, 'ready' | 'copy'> {
  return Object.hasOwn(STEP_LIMITS_MS, type);
}

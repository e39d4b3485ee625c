import type { Context } from '../events.ts';
import type { Failure } from '../failure.ts';
import type { DriverKind, GuestDefinition } from './definition.ts';

/** A guest that runs now, as its hypervisor shows it. */
export interface RunningGuest {
  definition: GuestDefinition;
  /** The process that is the guest. */
  pid: number;
  /** CPU time used since it was started, in seconds. */
  cpuSeconds: number;
  /** Why vmferry can neither move this guest nor start it again as it is; absent where it can. */
  unsupported?: Failure;
}

export interface HaltOptions {
  /** How long each step of the ladder may take. */
  timeoutMs: number;
  /** Kill the guest when it does not halt in an orderly way. Never done unless asked for by name. */
  force: boolean;
}

export interface StartOptions {
  /** The file that the guest's console is appended to. */
  consoleLog: string;
  /** How long until the guest must be up. */
  timeoutMs: number;
}

/** One hypervisor whose guests can be found, halted and started. */
export interface GuestDriver {
  kind: DriverKind;
  /** The guests that run now. What cannot be read (another user's) is left out. */
  list(context: Context): Promise<RunningGuest[]>;
  /**
   * Halts the guest and returns when its process is gone. Whether its images are free and clean is the caller's
   * to check (see `findUsers` in image/usage). Throws Failure `halt-failed`; the guest then still runs. When
   * aborted, it may return or throw only after some time: when it is known whether the guest went down.
   */
  halt(guest: RunningGuest, options: HaltOptions, context: Context): Promise<void>;
  /** What keeps this machine from booting the guest: all of it, nothing changed. Empty when it can. */
  checkBootable(definition: GuestDefinition, context: Context): Promise<Failure[]>;
  /**
   * Boots the guest detached from this process and returns when it is up. Throws Failure `start-failed`, and
   * then no process of it is left.
   */
  start(definition: GuestDefinition, options: StartOptions, context: Context): Promise<RunningGuest>;
}

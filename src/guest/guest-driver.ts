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
  /**
   * What keeps this machine from booting the guest: all of it, nothing changed. Empty when it can.
   * @param isVouchedFor false: anybody may have written the definition. Then nothing is started, not even for a try, that is
   * not a kernel for certain. True unless given.
   */
  checkBootable(definition: GuestDefinition, context: Context, isVouchedFor?: boolean): Promise<Failure[]>;
  /**
   * Boots the guest detached from this process and returns when it is up. Throws Failure `start-failed`, and
   * then no process of it is left.
   */
  start(definition: GuestDefinition, options: StartOptions, context: Context): Promise<RunningGuest>;
}

export interface FreezeOptions {
  /** How long the guest may take to write out what it has in memory. */
  syncTimeoutMs: number;
}

/**
 * A running guest that stands still: no program of it runs, and its disks do not change. Disposing lets it go on,
 * unless that was done; it throws Failure `guest-left-down` when the guest does not.
 */
export interface FrozenGuest extends AsyncDisposable {
  stoppedAt: Date;
  /** Null when all was written out before; else why not, as the end of a sentence. The disks are as after a crash. */
  notSynced: string | null;
  /** Lets it go on, and gives how long it stood still, in milliseconds. */
  letGo(): Promise<number>;
}

/** A hypervisor whose guests can be stopped for a moment. */
export interface FreezingDriver extends GuestDriver {
  /**
   * Has the guest write out what it has in memory, and stops it. It goes on when the answer is disposed of, and also
   * when this process dies. Throws Failure `guest-unsupported` when it cannot be stopped; it then runs on.
   */
  freeze(guest: RunningGuest, options: FreezeOptions, context: Context): Promise<FrozenGuest>;
}

export function isFreezingDriver(driver: GuestDriver): driver is FreezingDriver {
  return 'freeze' in driver;
}

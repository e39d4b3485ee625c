import type { Context } from '../events.ts';
import type { Failure } from '../failure.ts';
import type { PlacedText } from '../placed-text.ts';
import type { Extent } from '../extent/extents.ts';
import type { ImageUser } from '../image/usage/usage.ts';
import type { DriverKind, GuestDefinition } from './definition.ts';

/** A guest that runs now, as its hypervisor shows it. */
export interface RunningGuest {
  definition: GuestDefinition;
  identity: GuestIdentity;
  /** CPU time used since it was started, in seconds. */
  cpuSeconds: number;
  /** Why vmferry can neither move this guest nor start it again as it is; absent if it can. */
  unsupported?: Failure;
  /** Absent if there are none. */
  earlierStates?: EarlierStates;
}

/** Snapshots of a guest that its hypervisor keeps. They stay on this machine: only the disks as they are now are read. */
export interface EarlierStates {
  /** Their names, for people: "monday (inside its images)". */
  text: string;
  /** The names of those that are inside its images. */
  insideImages: readonly string[];
  /** How a person has the hypervisor forget them: an advice. */
  forget: PlacedText;
}

/** One run of a guest. A guest that was started again has another identity. */
export interface GuestIdentity {
  /** Made and read by the driver alone. Equal for the same run, and different for any other. */
  id: string;
  /** For people: "process 4711", "domain 5". */
  label: string;
  /** The process that is the guest; absent if the hypervisor has no such process. */
  pid?: number;
}

export interface HaltOptions {
  /** How long each way of halting may take. */
  timeoutMs: number;
  /** Kill the guest if it does not halt cleanly. Only if the user asked for it. */
  force: boolean;
}

export interface StartOptions {
  /** The file that the guest's console is appended to. */
  consoleLog: string;
  /** The guest must be up within this time. */
  timeoutMs: number;
}

/** How a copy of a guest is booted, so that it cannot touch anything else. */
export interface Isolation {
  /** The name that the copy runs under. */
  name: string;
  /** The copied disks, in the order of the original's. A disk without a copy is left out. */
  copies: readonly (string | undefined)[];
  /** An empty directory: the only one of this machine that the copy may see. */
  emptyDirectory: string;
}

/** One hypervisor whose guests can be found, halted and started. test/contract/guest-driver-contract.ts tests these promises. */
export interface GuestDriver {
  kind: DriverKind;
  /** The environment variables by which its guests are found and started, such as UML_DIR. A scheduled backup keeps them. */
  environmentNames: readonly string[];
  /** The guests that run now. Guests that cannot be read (another user's) are left out. */
  list(context: Context): Promise<RunningGuest[]>;
  /** The users of an image that are not the guest itself: neither its processes nor its devices. */
  usersBesides(guest: RunningGuest, users: readonly ImageUser[]): Promise<readonly ImageUser[]>;
  /**
   * Halts the guest and returns when it is gone; returns at once if this run of it has ended already. The caller checks
   * whether its images are free and clean (see `findUsers` in image/usage). Throws Failure `halt-failed`; the guest
   * then still runs. When aborted, it may return or throw only after some time: when it is known whether the guest went
   * down.
   */
  halt(guest: RunningGuest, options: HaltOptions, context: Context): Promise<void>;
  /**
   * Fills in what the definition leaves to this machine, such as a kernel that is null though the guest boots from one.
   * What this machine does not have stays null; `checkBootable` tells of it.
   */
  complete(definition: GuestDefinition, context: Context): Promise<GuestDefinition>;
  /**
   * Everything that keeps this machine from booting the guest; empty when nothing does. Changes nothing.
   * @param isVouchedFor false: anybody may have written the definition. Then only a file that is certainly a kernel is
   * started, even as a test. True unless given.
   * @param coming files that the definition names, and that will be made of the guest's disks: they are not missed
   */
  checkBootable(
    definition: GuestDefinition,
    context: Context,
    isVouchedFor?: boolean,
    coming?: readonly string[],
  ): Promise<Failure[]>;
  /**
   * Boots the guest detached from this process and returns when it is up. Throws Failure `start-failed`, or what
   * `checkBootable` finds; then nothing of the guest runs.
   */
  start(definition: GuestDefinition, options: StartOptions, context: Context): Promise<RunningGuest>;
  /**
   * The definition of a copy of the guest that reaches nothing but its copied disks, and does not start again by itself.
   * This holds for a guest that behaves as usual, not for a malicious one.
   */
  isolate(definition: GuestDefinition, isolation: Isolation): Promise<GuestDefinition>;
}

/** A guest that its hypervisor knows, and that does not run. */
export interface KeptGuest {
  definition: GuestDefinition;
  /** Why vmferry can neither move nor start it as it is; absent if it can. */
  unsupported?: Failure;
  /** Absent if there are none. */
  earlierStates?: EarlierStates;
  /** Why `drop` would fail, or lose more than the definition; absent if it would not. */
  undroppable?: Failure;
}

/** A hypervisor that keeps the definitions of guests, so that they can be started without vmferry, and with the machine. */
export interface KeepingDriver extends GuestDriver {
  /** The guests that it knows and that do not run. Guests that cannot be read are left out. */
  listKept(context: Context): Promise<KeptGuest[]>;
  /**
   * Makes the guest known, also to start with the machine if the definition says so. Throws Failure `target-exists` if
   * another guest of that name is known.
   */
  keep(definition: GuestDefinition, context: Context): Promise<void>;
  /** Makes the hypervisor forget a guest that does not run. Its disks stay. Does nothing if it is not known. */
  drop(definition: GuestDefinition, context: Context): Promise<void>;
  /** Sets whether a known guest starts with the machine. */
  setAutostart(definition: GuestDefinition, isOn: boolean, context: Context): Promise<void>;
  /**
   * Keeps the hypervisor from starting the guest, by hand and with the machine. Returns what `unfence` needs to put all back
   * exactly: a short text, kept in the guest's record.
   */
  fence(definition: GuestDefinition, context: Context): Promise<string>;
  /** Takes back `fence`. May be called again after it was cut short. */
  unfence(definition: GuestDefinition, fence: string, context: Context): Promise<void>;
}

export function isKeepingDriver(driver: GuestDriver): driver is KeepingDriver {
  return 'listKept' in driver;
}

/** For whom the hypervisor records which parts of a guest's disks are written. */
export interface RecordingRequest {
  /** 32 hex digits. Each owner has recordings of its own. */
  owner: string;
  /** The `Recording.id` of the owner's earlier recording; null if it has none. All its other recordings are removed. */
  since: string | null;
  /** That the recording cannot be read was told before. */
  isTold?: boolean;
}

/** For each disk of the definition: all that was written while a recording went on; null if that is not known. */
export type WrittenExtents = readonly (readonly Extent[] | null)[];

/** A recording of what is written. It goes on while the guest runs, until `endRecordings`. Nothing of it is in the images. */
export interface Recording {
  id: string;
  /** Since the earlier recording began. */
  written: WrittenExtents;
  /** It cannot be read, which is told of unless `RecordingRequest.isTold`. */
  isUnreadable?: boolean;
}

/** A hypervisor that can record which parts of a running guest's disks are written. */
export interface RecordingDriver extends GuestDriver {
  /** Whether there is a way to have this guest's writes recorded. Asks the guest nothing. */
  canRecord(guest: RunningGuest): Promise<boolean>;
  /**
   * Begins a recording of a guest that runs on. What was written before can be read from its images when this returns. Null when
   * nothing can be recorded.
   */
  record(guest: RunningGuest, request: RecordingRequest, context: Context): Promise<Recording | null>;
  /**
   * Halts the guest as `halt` does, and returns what it wrote from that recording on until its end; null if that is not known.
   */
  haltRecorded(
    guest: RunningGuest,
    { owner, since }: RecordingRequest,
    options: HaltOptions,
    context: Context,
  ): Promise<WrittenExtents | null>;
  /**
   * Ends the owner's recordings of the guest's writes, except the one with the id `kept`. Those that cannot be ended now are ended by
   * the owner's next recording.
   */
  endRecordings(guest: RunningGuest, owner: string, kept: string | null): Promise<void>;
}

export function isRecordingDriver(driver: GuestDriver): driver is RecordingDriver {
  return 'record' in driver;
}

/** A guest's disks as they were at one instant, while the guest runs on. Disposing takes the views away. */
export interface ViewedGuest extends AsyncDisposable {
  takenAt: Date;
  /** As in `FrozenGuest`. */
  notSynced: string | null;
  /** How long the guest stood still for it, in milliseconds. */
  stoppedMs: number;
  /** For each disk of the definition, in its order: the path of a raw file with the disk's bytes at that instant. */
  views: readonly string[];
  /** The recording that began at that instant; null if none was asked for, or none is possible. */
  recording: Recording | null;
}

export interface ViewOptions extends FreezeOptions {
  /** Null: nothing is recorded, and recordings that are there stay. */
  recording: RecordingRequest | null;
}

/** A hypervisor that can show a running guest's disks as they were at one instant. A recording can begin at that instant. */
export interface ViewingDriver extends RecordingDriver {
  /** Throws Failure `guest-unsupported` when this guest's disks cannot be viewed; it then runs on, unchanged. */
  view(guest: RunningGuest, options: ViewOptions, context: Context): Promise<ViewedGuest>;
}

export function isViewingDriver(driver: GuestDriver): driver is ViewingDriver {
  return 'view' in driver;
}

/** How a kernel was built. */
export interface KernelFacts {
  path: string;
  /** `6.1.0-57-amd64` */
  version: string;
  /** Lines such as `CONFIG_EXT4_FS=y`; null if it is not known. */
  config: string | null;
}

/** A hypervisor that is itself the kernel of its guests. */
export interface KernelDriver extends GuestDriver {
  /** Of the kernel that would boot the guest here; null if there is none, or if it does not tell. Starts the kernel's file, and boots nothing. */
  kernelFacts(definition: GuestDefinition, context: Context): Promise<KernelFacts | null>;
}

export function isKernelDriver(driver: GuestDriver): driver is KernelDriver {
  return 'kernelFacts' in driver;
}

/** Memory that the machine keeps apart (hugetlbpage in the kernel's documentation). */
export interface HugePages {
  /** Null: the machine's usual size. `mixed`: not for all of its memory, or of several sizes. */
  pageBytes: number | 'mixed' | null;
}

/** A hypervisor whose guests can have their memory in huge pages. */
export interface HugePageDriver extends GuestDriver {
  /** Null for a guest with ordinary memory. */
  hugePages(definition: GuestDefinition): Promise<HugePages | null>;
}

export function isHugePageDriver(driver: GuestDriver): driver is HugePageDriver {
  return 'hugePages' in driver;
}

/** A hypervisor that is tried with a small guest when a guest comes to this machine, and not before each start: it takes seconds. */
export interface ProbingDriver extends GuestDriver {
  /**
   * Boots a small guest in place of this one. Returns why that failed; null if it works, or if it cannot
   * be tried. Nothing of it is left. `checkBootable` has found nothing before. Reports what this machine may lack and cannot be checked.
   */
  probe(definition: GuestDefinition, context: Context): Promise<Failure | null>;
}

export function isProbingDriver(driver: GuestDriver): driver is ProbingDriver {
  return 'probe' in driver;
}

export interface FreezeOptions {
  /** How long the guest may take to write out what it has in memory. */
  syncTimeoutMs: number;
}

/**
 * A running guest that stands still: no program of it runs, and its disks do not change. Disposing lets it go on,
 * unless `letGo` did; it throws Failure `guest-left-down` when the guest does not go on.
 */
export interface FrozenGuest extends AsyncDisposable {
  stoppedAt: Date;
  /**
   * Null when everything in memory was written out before; else why not, as the end of a sentence. The disks are then
   * as after a crash.
   */
  notSynced: string | null;
  /** Lets it go on. Returns how long it was stopped, in milliseconds. */
  letGo(): Promise<number>;
}

/** A hypervisor whose guests can be stopped for a moment. */
export interface FreezingDriver extends GuestDriver {
  /**
   * Has the guest write out what it has in memory, and stops it. It goes on when the result is disposed of, and also
   * when this process dies. Throws Failure `guest-unsupported` when the guest cannot be stopped; it then runs on.
   */
  freeze(guest: RunningGuest, options: FreezeOptions, context: Context): Promise<FrozenGuest>;
}

export function isFreezingDriver(driver: GuestDriver): driver is FreezingDriver {
  return 'freeze' in driver;
}

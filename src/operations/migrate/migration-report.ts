import type { ImageFormat } from '../../image/formats/image-format.ts';
import type { MoveOptions } from '../../guest/guest-record.ts';
import type { TargetFormat } from '../../image/target/target-format.ts';
import type { ConversionAccount } from './conversion/account.ts';
import type { ConversionRequest } from './conversion/guest-there.ts';
import type { DiskAccount } from '../../transfer/disk-account.ts';
import type { RetryRequest } from './line/patience.ts';
import type { DowntimeParts } from './passes/downtime.ts';
import type { CopyRequest, MovedDisk } from './passes/copied-move.ts';
import type { PassReport } from './passes/pass-report.ts';
import type { RateLimit } from '../../rate-limit.ts';
import type { ProbeAccount } from '../../events.ts';
import type { ProbeRequest } from './probes/probe.ts';
import type { TakenBesides } from '../../wire/messages.ts';
import type { ArchivesElsewhere } from '../unpack/open-guest.ts';

export type { MoveOptions } from '../../guest/guest-record.ts';
export type { ConversionAccount } from './conversion/account.ts';
export type { MovedDisk } from './passes/copied-move.ts';
export type { DiskAccount } from '../../transfer/disk-account.ts';

/** What `vmferry migrate` is asked to do. */
export interface MigrateRequest extends CopyRequest {
  /** A guest's name, or the path of an image that no guest uses (the `offline` driver), of an archive, or of a compressed image; or a key of `elsewhere`. */
  guest: string;
  target: MigrationTarget;
  /** Where single disks go; the others go into the target's directory. */
  disks: readonly ChosenPlace[];
  /** What starts vmferry on the new hardware: a command line for the login shell there. */
  remoteCommand: string;
  conversion: ConversionRequest;
  retrying: RetryRequest;
  /** For what goes over the line; unlimited unless given. */
  limitRate?: RateLimit | null;
  /** Where an archive is unpacked; null: beside it. Absent: archives are not unpacked. */
  scratch?: string | null;
  elsewhere?: ArchivesElsewhere;
  /** The user confirms that the machine of an archive no longer runs its guest, and never will. */
  oldHostIsGone?: boolean;
  /** The format of an image that is named by its path; by its name unless given. */
  imageFormat?: ImageFormat;
  /** The format of the new images; null: see `targetFormatOf`. */
  format?: TargetFormat | null;
  /** What is asked before the halt, and has to answer in the same way after the boot. */
  probing: ProbeRequest;
  forceHalt: boolean;
  haltTimeoutMs: number;
  bootTimeoutMs: number;
  /** As they were typed, for `migrate --resume`. Without them, the move is begun again by the whole command. */
  options?: MoveOptions;
  /** What other guests of the same command take on the new hardware before this one; nothing unless given. */
  besides?: TakenBesides;
  /** Stop after the preflight, and report what would happen. */
  dryRun: boolean;
}

/** `--disk NAME=PATH` */
export interface ChosenPlace {
  /** The disk's slot or name in the guest, its file name, or `root` for the disk of the root file system (`findDisk`). */
  name: string;
  /** Absolute, on the new hardware: a block device, or a new file. */
  path: string;
}

/** A block device on the new hardware, as it was found. */
export interface DeviceThere {
  path: string;
  sizeBytes: number;
  /** What its content looks like: `ext4`, `swap`. Empty if nothing was recognised. */
  holds: readonly string[];
}

export interface MigrationTarget {
  /** As it is typed after `ssh`: an alias, a host name, or user@host. */
  destination: string;
  /** Absolute path on the new hardware; null: the directory that the first disk without a place of its own lies in here. */
  directory: string | null;
  /** An ssh_config(5) file to use instead of the user's own. */
  sshConfigFile: string | null;
}

/** The report of a preflight that found no problem. */
export interface MigrationPlan extends ConversionAccount {
  type: 'plan';
  guest: string;
  destination: string;
  willHalt: boolean;
  willBoot: boolean;
  /** Whether most of it would be copied while the guest runs. */
  warm: boolean;
  /** The block devices there that would be overwritten. */
  devices: readonly DeviceThere[];
  disks: readonly DiskAccount[];
  /** Compressed size, estimated from a sample of the image's blocks; null if nothing is to be read. */
  estimatedSendBytes: number | null;
  /** The same, for a running guest whose free blocks stay unknown after the halt. */
  mostSendBytes: number | null;
  /** Estimate: from the halt of the guest until it is up again; null if it does not run. */
  estimatedDowntimeSeconds: number | null;
  warnings: readonly string[];
}

export interface MigrationReport extends ConversionAccount {
  type: 'moved';
  guest: string;
  /** The archive or compressed image that it was in, as it was typed; null if it was not in one. */
  archive: string | null;
  destination: string;
  /** Absolute, on the new hardware; null if every disk has a place of its own. */
  directory: string | null;
  /** The block devices there that were overwritten, as they were before. */
  devices: readonly DeviceThere[];
  disks: readonly MovedDisk[];
  /** The passes over the disks, in order; the last one came after the halt. */
  passes: readonly PassReport[];
  seconds: number;
  /** From the halt until the guest is up on the new hardware; null if it did not run. */
  downtimeSeconds: number | null;
  /** What it was made of; null if the guest did not run. */
  downtimeParts: DowntimeParts | null;
  /** What was told before the halt; null if the guest was not copied while it ran. */
  predictedDowntimeSeconds: number | null;
  /** Where it runs now: null when it was not booted (`offline`). */
  booted: { pid: number | null; consoleLog: string } | null;
  /** What was asked before the halt and after the boot. */
  probes: readonly ProbeAccount[];
  /** Whether the way back has ended already, because every probe has answered as before. */
  committed: boolean;
  warnings: readonly string[];
}

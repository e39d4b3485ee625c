import type { FailureRecord } from '../../failure.ts';
import type { Extent } from '../../extent/extents.ts';

/** What is wrong with a file of the store. */
export interface StoreProblem {
  kind:
    | 'manifest-damaged'
    | 'map-damaged'
    | 'map-missing'
    | 'index-damaged'
    | 'pack-damaged'
    | 'pack-missing'
    | 'chunks-not-indexed'
    /** Only a prune's trash still has it, and it could not be moved back. */
    | 'only-in-trash'
    /** What earlier checks have found is lost with it, no data. */
    | 'check-record-damaged';
  /** The file's name in the store, or that of the folder where something is missing. */
  file: string;
  /** A full sentence. */
  message: string;
}

/** What of a snapshot cannot be restored. */
export interface DamagedSnapshot {
  snapshot: string;
  /** None where the manifest itself cannot be read: then nothing of it can be restored. */
  disks: readonly DamagedDisk[];
}

export interface DamagedDisk {
  name: string;
  damagedBytes: number;
  /** The first thousand of them; ascending, not touching; in bytes of the disk. */
  ranges: readonly Extent[];
  /** How many ranges there are behind those. */
  moreRanges: number;
}

export interface FileCount {
  count: number;
  bytes: number;
}

/** What `vmferry verify` has found of one guest. */
export interface GuestVerdict {
  guest: string;
  snapshots: number;
  packs: FileCount;
  /** Packs that were read whole now. */
  read: FileCount;
  problems: readonly StoreProblem[];
  damaged: readonly DamagedSnapshot[];
  /** Files that no snapshot reaches: of an unfinished backup, or for the next prune. No harm. */
  unreferenced: FileCount;
  /** Files that only a prune's trash still had, and that were moved back. */
  takenBack: number;
}

/** What `vmferry verify --boot` has shown. */
export interface BootVerdict {
  guest: string;
  snapshot: string;
  /** Until it was up, without restoring it. */
  bootSeconds: number;
}

export interface VerifyReport {
  type: 'verified';
  store: string;
  guests: readonly GuestVerdict[];
  /** Null where none was asked for, or it failed. */
  boot: BootVerdict | null;
  bootFailure: FailureRecord | null;
  isDamaged: boolean;
  seconds: number;
}

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
    /** The file is only in the trash of a prune, and could not be moved back. */
    | 'only-in-trash'
    /** Findings of earlier checks are lost, but no data. */
    | 'check-record-damaged';
  /** Name in the store of the file, or of the folder where something is missing. */
  file: string;
  /** A full sentence. */
  message: string;
}

/** The parts of a snapshot that cannot be restored. */
export interface DamagedSnapshot {
  snapshot: string;
  /** Empty if the manifest cannot be read: then nothing can be restored. */
  disks: readonly DamagedDisk[];
}

export interface DamagedDisk {
  name: string;
  damagedBytes: number;
  /** The first thousand damaged ranges, in bytes of the disk; ascending, not touching. */
  ranges: readonly Extent[];
  /** How many ranges follow those. */
  moreRanges: number;
}

export interface FileCount {
  count: number;
  bytes: number;
}

/** What `vmferry verify` has found about one guest. */
export interface GuestVerdict {
  guest: string;
  snapshots: number;
  packs: FileCount;
  /** Packs that this verify has read. */
  read: FileCount;
  problems: readonly StoreProblem[];
  damaged: readonly DamagedSnapshot[];
  /** Files that no snapshot needs: of an unfinished backup, or for the next prune. Harmless. */
  unreferenced: FileCount;
  /** Files that were only in the trash of a prune, and were moved back. */
  takenBack: number;
}

/** What `vmferry verify --boot` has shown. */
export interface BootVerdict {
  guest: string;
  snapshot: string;
  /** From start to up, without the restore. */
  bootSeconds: number;
}

export interface VerifyReport {
  type: 'verified';
  store: string;
  guests: readonly GuestVerdict[];
  /** Null if no boot was asked for, or it failed. */
  boot: BootVerdict | null;
  bootFailure: FailureRecord | null;
  isDamaged: boolean;
  seconds: number;
}

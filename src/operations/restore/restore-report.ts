import type { Extent } from '../../extent/extents.ts';
import type { Consistency } from '../../guest/consistency.ts';
import type { TargetFormat } from '../../image/target/target-format.ts';
import type { ConversionRequest } from '../migrate/conversion/guest-there.ts';
import type { SnapshotReference } from '../store-access/choose-snapshot.ts';

/** The options of a restore. */
export interface RestoreRequest {
  reference: SnapshotReference;
  /** The absolute path of a file, a block device or a directory. With a slash at its end it must be a directory. */
  to: string;
  /** The only disk to restore; null: all. */
  disk: string | null;
  /** The format of the new images; null: see `targetFormatOf`. */
  format?: TargetFormat | null;
  /** Whether an existing file or a device may be overwritten. */
  inPlace: boolean;
  /** Whether to restore the rest of a snapshot that has lost chunks. */
  allowMissing: boolean;
  /** Null: the guest is not booted. */
  start: StartAfterRestore | null;
}

export interface StartAfterRestore {
  bootTimeoutMs: number;
  /** The user confirms that the machine that ran the guest no longer runs it, and never will. */
  oldHostIsGone: boolean;
  /** Absent: the guest keeps its hypervisor. */
  conversion?: ConversionRequest;
  /** Asks the user to confirm that; null if nobody can be asked. */
  ask: ((question: string, signal: AbortSignal) => Promise<boolean>) | null;
}

export interface RestoredDisk {
  /** As in the snapshot. */
  name: string;
  target: string;
  sizeBytes: number;
  /** Compressed bytes. */
  readFromStoreBytes: number;
  /** Written to the target, or cleared there. */
  writtenBytes: number;
  /** Not written: the target had these bytes already. */
  unchangedBytes: number;
  /** `sha256:…`, of what is on the disk now. */
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
  /** Ranges that the store has lost. They read as zero. Ascending, not touching. */
  missing: readonly Extent[];
}

export interface RestoreReport {
  type: 'restored';
  guest: string;
  snapshot: string;
  consistency: Consistency;
  disks: readonly RestoredDisk[];
  started: { pid: number | null; consoleLog: string } | null;
  seconds: number;
}

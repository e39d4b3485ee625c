import type { Extent } from '../../extent/extents.ts';
import type { Consistency } from '../../repository/snapshot.ts';
import type { SnapshotReference } from '../store-access/choose-snapshot.ts';

/** What `vmferry restore` is asked to do. */
export interface RestoreRequest {
  reference: SnapshotReference;
  /** An absolute path: of a file, a block device or a directory; with a slash at its end, of a directory. */
  to: string;
  /** The one disk that is wanted; null: all of them. */
  disk: string | null;
  /** Whether a file or a device that is there may be overwritten. */
  inPlace: boolean;
  /** Whether to restore what is left of a snapshot that has lost some. */
  allowMissing: boolean;
  /** Null: it is not booted. */
  start: StartAfterRestore | null;
}

export interface StartAfterRestore {
  bootTimeoutMs: number;
  /** The person's word that the machine that ran the guest does so no more, and never will. */
  oldHostIsGone: boolean;
  /** Asks for that word; null where nobody is there to be asked. */
  ask: ((question: string, signal: AbortSignal) => Promise<boolean>) | null;
}

export interface RestoredDisk {
  /** As in the snapshot. */
  name: string;
  target: string;
  sizeBytes: number;
  /** Compressed, as it lies there. */
  readFromStoreBytes: number;
  /** Written to the target, or made empty there. */
  writtenBytes: number;
  /** Not written: the target held these bytes already. */
  unchangedBytes: number;
  /** `sha256:…`, of what is on the disk now. */
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
  /** What the store has lost of it: reads as zero. Ascending, not touching. */
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

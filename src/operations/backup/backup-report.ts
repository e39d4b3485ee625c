import type { FailureRecord } from '../../failure.ts';
import type { Consistency } from '../../guest/consistency.ts';

/** One disk of a new snapshot. readBytes + unchangedBytes + holeBytes + freeBytes = sizeBytes. */
export interface BackedUpDisk {
  name: string;
  sizeBytes: number;
  readBytes: number;
  /** Not read: the file system says that they are the same as in an earlier snapshot. */
  unchangedBytes: number;
  holeBytes: number;
  freeBytes: number;
  fingerprint: string;
}

/** A guest with a new snapshot. */
export interface GuestBackup {
  guest: string;
  snapshot: string;
  consistency: Consistency;
  disks: readonly BackedUpDisk[];
  /** Plain bytes of the chunks that the store did not have. */
  newPlainBytes: number;
  /** By how much the store has grown: packs, indexes, pages. */
  newBytes: number;
  seconds: number;
}

export interface BackupReport {
  type: 'backed-up';
  /** Its location, to be shown to the user. */
  store: string;
  guests: readonly GuestBackup[];
  /** Guests without a new snapshot. */
  failed: readonly ({ guest: string } & FailureRecord)[];
}

/** Reports what went wrong with a guest. A guest that was left down may still have a new snapshot. */
export function notDoneText(
  guest: string,
  { code, message }: Pick<FailureRecord, 'code' | 'message'>,
): string {
  return code === 'guest-left-down' ? `${guest}: ${message}` : `${guest} was not backed up: ${message}`;
}

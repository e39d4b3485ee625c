import type { FailureRecord } from '../../failure.ts';
import type { Consistency } from '../../repository/snapshot.ts';

/** One disk of a snapshot that was made. readBytes + unchangedBytes + holeBytes + freeBytes = sizeBytes. */
export interface BackedUpDisk {
  name: string;
  sizeBytes: number;
  readBytes: number;
  /** Not read, because the file system says that they are what they were in an earlier snapshot. */
  unchangedBytes: number;
  holeBytes: number;
  freeBytes: number;
  fingerprint: string;
}

/** A guest of which there is a new snapshot. */
export interface GuestBackup {
  guest: string;
  snapshot: string;
  consistency: Consistency;
  disks: readonly BackedUpDisk[];
  /** Plain bytes of the chunks that the store did not have. */
  newPlainBytes: number;
  /** What the store has grown by: packs, indexes, pages. */
  newBytes: number;
  seconds: number;
}

export interface BackupReport {
  type: 'backed-up';
  /** As people know it. */
  store: string;
  guests: readonly GuestBackup[];
  /** Guests of which there is none. */
  failed: readonly ({ guest: string } & FailureRecord)[];
}

/** What is wrong with a guest, as a sentence: one that is down may have been backed up before. */
export function notDoneText(
  guest: string,
  { code, message }: Pick<FailureRecord, 'code' | 'message'>,
): string {
  return code === 'guest-left-down' ? `${guest}: ${message}` : `${guest} was not backed up: ${message}`;
}

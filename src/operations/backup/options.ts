import type { FramePool } from '../../workers/frame-pool.ts';
import type { Machine } from '../../system/machine.ts';
import type { Compression } from '../../transfer/compression-level.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import type { StandstillOptions } from './standstill.ts';

export interface BackupOptions extends StandstillOptions {
  compression: Compression;
  everyBlock: boolean;
  /** Keep a clone of each image beside it, so that the next backup need not read what has not changed. */
  keepClones: boolean;
  /** The store's snapshots under the guest's name are this guest's, wherever they were made. */
  adopt: boolean;
}

export interface BackupDependencies extends GuestDependencies {
  version: string;
  machine: () => Machine;
  pool: FramePool;
  now: () => Date;
  /** So many random hex digits. */
  randomHex: (digits: number) => string;
}

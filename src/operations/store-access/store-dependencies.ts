import type { Context } from '../../events.ts';
import type { Random } from '../../repository/keys/store-keys.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';
import type { OpenStoreOptions, StoreLocation } from './open-backup-store.ts';
import type { BackupStore } from '../../store/store.ts';

/** What every operation on a store of backups needs. */
export interface StoreDependencies {
  environment: NodeJS.ProcessEnv;
  /** Throws Failure `store-missing` if the directory does not exist and must not be made. */
  openStoreAt: (location: StoreLocation, options: OpenStoreOptions, context: Context) => Promise<BackupStore>;
  /** What this machine remembers about stores. */
  storeMemory: StoreMemory;
  random: Random;
  now: () => Date;
}

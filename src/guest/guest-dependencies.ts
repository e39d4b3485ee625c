import type { GuestDriver } from './guest-driver.ts';
import type { RecordStore } from './record-store.ts';

export interface GuestDependencies {
  drivers: readonly GuestDriver[];
  records: RecordStore;
  /** Where the console of a guest of that name is written to. */
  consoleLogOf: (guest: string) => string;
}

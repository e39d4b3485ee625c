import type { Context } from '../../events.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import type { RecordStore } from '../../guest/record-store.ts';
import type { ConnectOptions, SshConnection } from '../../store/sftp/ssh-connection.ts';

export interface MigrateDependencies {
  pool: FramePool;
  drivers: readonly GuestDriver[];
  records: RecordStore;
  connect: (destination: string, options: ConnectOptions, context: Context) => Promise<SshConnection>;
  /** Where the console of a guest of that name is written to, when it must be started here again. */
  consoleLogOf: (guest: string) => string;
}

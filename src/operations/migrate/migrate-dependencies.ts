import type { Context } from '../../events.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { ConnectOptions, SshConnection } from '../../store/sftp/ssh-connection.ts';

export interface MigrateDependencies extends GuestDependencies {
  pool: FramePool;
  connect: (destination: string, options: ConnectOptions, context: Context) => Promise<SshConnection>;
}

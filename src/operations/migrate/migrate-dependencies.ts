import type { Context } from '../../events.ts';
import type { OpenGuestDependencies } from '../unpack/open-guest.ts';
import type { ConnectOptions, SshConnection } from '../../store/sftp/ssh-connection.ts';

export interface MigrateDependencies extends OpenGuestDependencies {
  connect: (destination: string, options: ConnectOptions, context: Context) => Promise<SshConnection>;
}

import type { Options } from 'yargs';

/** For every command that may connect by ssh. */
export const sshConfigOption = {
  'ssh-config': {
    alias: 'F',
    type: 'string',
    requiresArg: true,
    describe: 'ssh configuration file to use instead of your own',
  },
} as const satisfies Record<string, Options>;

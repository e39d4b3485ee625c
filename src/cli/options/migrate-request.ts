import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { MigrateRequest } from '../../operations/migrate/migration-report.ts';
import { parseDestination } from './destination.ts';
import { bootOptions, haltOptions, readBootOptions, readHaltOptions } from './guest-options.ts';
import { flag, optionalText, text, wholeNumberOr, type Arguments } from './options.ts';

export function defineMigrateOptions(parser: Argv): Argv {
  return parser
    .positional('guest', {
      type: 'string',
      describe: 'A running guest by its name, or the path of an image that nothing runs',
    })
    .options({
      to: {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: '[USER@]HOST[:DIR]; the host as for ssh. Without DIR: the directory the image lies in here',
      },
      'dry-run': {
        type: 'boolean',
        describe: 'Check everything and say what would happen; change nothing',
      },
      compression: {
        type: 'string',
        default: 'auto',
        requiresArg: true,
        describe: 'zstd level, 1 to 19; auto: as the line and the cores allow, 1 to 9',
      },
      'every-block': {
        type: 'boolean',
        describe: 'Send blocks that the file system says are free, too',
      },
      ...haltOptions,
      ...bootOptions,
      'remote-command': {
        type: 'string',
        default: 'vmferry',
        requiresArg: true,
        describe: 'What starts vmferry there',
      },
      'ssh-config': {
        alias: 'F',
        type: 'string',
        requiresArg: true,
        describe: "An ssh configuration file instead of one's own",
      },
    })
    .example('$0 migrate web --to newhost --dry-run', 'what would happen, and whether it can')
    .example('$0 migrate web --to newhost', 'halt the guest web, move it, boot it there')
    .example('$0 migrate web --to admin@192.0.2.7:/srv/guests', 'its image goes to that directory')
    .example('$0 migrate /srv/old.img --to newhost', 'an image that nothing runs: moved, not booted')
    .example(
      '$0 migrate web --to newhost --remote-command /opt/vmferry/bin/vmferry',
      'where vmferry is not on the PATH there',
    );
}

/** Throws Failure `usage`. */
export function readMigrateRequest(args: Arguments): MigrateRequest {
  const sshConfigFile = optionalText(args, 'ssh-config');
  return {
    guest: text(args, 'guest'),
    target: {
      ...parseDestination(text(args, 'to')),
      sshConfigFile: sshConfigFile === null ? null : resolve(sshConfigFile),
    },
    remoteCommand: text(args, 'remote-command'),
    compression: wholeNumberOr(args, 'compression', 1, 19, 'auto'),
    everyBlock: flag(args, 'every-block'),
    ...readHaltOptions(args),
    ...readBootOptions(args),
    dryRun: flag(args, 'dry-run'),
  };
}

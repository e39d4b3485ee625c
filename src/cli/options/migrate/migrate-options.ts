import type { Argv, Options } from 'yargs';
import { scratchOption } from '../archive-options.ts';
import { asOptions } from '../as-options.ts';
import { repeatableConversionOptions } from '../conversion-options.ts';
import { bootOptions, haltOptions } from '../guest-options.ts';
import { backingDirectoryOption, repeatableBackingDirectory } from '../images/backing-directory-option.ts';
import { imageFormatOption, targetFormatOption } from '../images/image-format-options.ts';
import { limitRateOption } from '../limit-rate-option.ts';
import { placeOptions, repeatablePlaceOptions } from '../place-options.ts';
import { sshConfigOption } from '../ssh-config-option.ts';
import { holdOptions } from './hold-options.ts';
import { probeOptions, repeatableProbeOptions } from './probe-options.ts';
import { retryOptions } from './retry-options.ts';

/** The options that may be given several times. */
export const repeatableMigrateOptions = [
  ...repeatablePlaceOptions,
  ...repeatableConversionOptions,
  ...repeatableProbeOptions,
  ...repeatableBackingDirectory,
];

/** Where a guest goes. */
export const toOption = {
  to: {
    type: 'string',
    demandOption: true,
    requiresArg: true,
    describe: '[USER@]HOST[:DIR], the host as for ssh; DIR is by default the same directory as here',
  },
} as const satisfies Record<string, Options>;

/** Instead of where it goes. */
const resumeOption = {
  resume: {
    type: 'boolean',
    describe:
      'Go on with a move that broke off, to the same place and with the same options; only --dry-run, --overwrite, --force-halt, --hold and --cutover can be added',
  },
} as const satisfies Record<string, Options>;

/** How a running guest is copied. */
export const passOptions = {
  'downtime-goal': {
    type: 'number',
    default: 10,
    requiresArg: true,
    describe: 'Copy the running guest again until copying what is left takes fewer seconds than this',
  },
  compression: {
    type: 'string',
    default: 'auto',
    requiresArg: true,
    describe: 'zstd level, 1 to 19; auto: 1 to 9, to suit the line and the cores',
  },
} as const satisfies Record<string, Options>;

/** How the new hardware is reached. */
export const lineOptions = {
  'remote-command': {
    type: 'string',
    default: 'vmferry',
    requiresArg: true,
    describe: 'Command that starts vmferry on the new hardware',
  },
  ...sshConfigOption,
} as const satisfies Record<string, Options>;

/** All options of a move. */
export const migrateOptions = {
  to: { ...toOption.to, demandOption: false },
  ...resumeOption,
  ...asOptions,
  ...placeOptions,
  'dry-run': {
    type: 'boolean',
    describe: 'Check everything and show what would happen; change nothing',
  },
  cold: {
    type: 'boolean',
    describe: 'Halt the guest first, instead of copying most of it while it runs',
  },
  ...holdOptions,
  ...passOptions,
  'every-block': {
    type: 'boolean',
    describe: 'Send free blocks of the file system, too',
  },
  ...limitRateOption,
  ...retryOptions,
  scratch: scratchOption,
  'old-host-is-gone': {
    type: 'boolean',
    describe:
      'Of an archive: the machine on which it was made is off for good, so that its guest cannot run twice',
  },
  'image-format': imageFormatOption,
  ...backingDirectoryOption,
  format: targetFormatOption,
  via: {
    choices: ['bzip2'],
    requiresArg: true,
    describe:
      'To a machine without vmferry: halt the guest and send its disks through bzip2, ssh, bunzip2 and dd; sha256sum ' +
      'checks them there. You start it there yourself',
  },
  ...haltOptions,
  ...bootOptions,
  ...probeOptions,
  ...lineOptions,
} as const satisfies Record<string, Options>;

export function defineMigrateOptions(parser: Argv): Argv {
  return withExamples(parser.options(migrateOptions));
}

function withExamples(parser: Argv): Argv {
  return parser
    .example('$0 migrate web --to newhost --dry-run', 'show what would happen, and all problems')
    .example(
      '$0 migrate web --to newhost',
      'copy the guest web while it runs, halt it, send the rest, boot it there',
    )
    .example('$0 migrate web --to admin@192.0.2.7:/srv/guests', 'put its image into that directory')
    .example(
      '$0 migrate web --to newhost --disk root=/dev/vg0/web',
      'onto a logical volume; its content is checked before, and overwritten',
    )
    .example(
      '$0 migrate db --to newhost --disk ubd0=/dev/sdb1 --disk ubd1=/srv/db.img',
      'each disk to a place of its own',
    )
    .example(
      '$0 migrate web --to newhost --as xen --disk root=/dev/vg0/web --dry-run',
      'what would change if it became a Xen guest there',
    )
    .example(
      '$0 migrate web --to newhost --as libvirt --network eth0=br0',
      'as a domain of libvirt, its network card on the bridge br0',
    )
    .example('$0 migrate web --to newhost --limit-rate 5M', 'leave the rest of the line to others')
    .example('$0 migrate web --resume', 'after a crash or a power failure: go on with what is there')
    .example('$0 migrate web --to newhost --cutover 03:00', 'copy it now, and halt it at three')
    .example(
      '$0 migrate web --to newhost --probe tcp:22 --probe http://web.example/',
      'committed if ssh and the web site answer there as they did here, else taken back',
    )
    .example('$0 migrate web --to oldbox:/srv --via bzip2', 'to a machine that has neither vmferry nor Node')
    .example('$0 migrate /srv/old.img --to newhost', 'move an image that no guest uses; nothing is booted')
    .example('$0 migrate web.tar.zst --to newhost:/srv/guests', 'boot the guest in an archive there')
    .example(
      '$0 migrate web --to newhost --remote-command /opt/vmferry/bin/vmferry',
      'if vmferry is not on the PATH there',
    );
}

import process from 'node:process';
import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { ScheduleRequest } from '../../operations/schedule/plan.ts';
import type { UnscheduleReport } from '../../operations/schedule/units.ts';
import type { ScheduleReport } from '../../operations/schedule/schedule.ts';
import type { Command, CommandEnvironment } from '../options/command.ts';
import { limitRateOption, readLimitRate } from '../options/limit-rate-option.ts';
import { keepOptions, readKeepOptions } from '../options/keep-options.ts';
import { flag, optionalText, text, type Arguments } from '../options/options.ts';
import { passphraseOptions, readPassphraseOptions } from '../options/passphrase-options.ts';
import {
  backingDirectoryOption,
  readBackingDirectories,
  repeatableBackingDirectory,
  withBackingOption,
} from '../options/images/backing-directory-option.ts';
import { imageFormatOption, readImageFormat } from '../options/images/image-format-options.ts';
import { readRunReportOptions, runReportOptions } from '../options/run-report-options.ts';
import { sshConfigOption } from '../options/ssh-config-option.ts';
import { parseStoreLocation } from '../options/store-location.ts';
import { maxPauseOption, readMaxPauseMs } from '../options/guest-options.ts';

const scheduleOptions = {
  to: {
    type: 'string',
    requiresArg: true,
    describe:
      'The store: a directory, HOST:PATH, sftp://[USER@]HOST[:PORT]/PATH, or a name from the configuration file',
  },
  at: {
    type: 'string',
    requiresArg: true,
    describe: 'Time: 03:00, "Mon 03:00", hourly, daily, or any calendar event of systemd.time(7)',
  },
  pause: { type: 'boolean', describe: 'Pause a running guest while its disks are read' },
  halt: {
    type: 'boolean',
    conflicts: 'pause',
    describe: 'Halt a running guest, and start it again after its disks were read',
  },
  ...maxPauseOption,
  ...limitRateOption,
  'image-format': imageFormatOption,
  ...backingDirectoryOption,
  'no-clone': {
    type: 'boolean',
    describe: 'On XFS and btrfs, keep no clone beside the image: see vmferry backup --help',
  },
  ...sshConfigOption,
  name: {
    type: 'string',
    requiresArg: true,
    describe: 'Name of the units: vmferry-backup-NAME; by default the guest’s name',
  },
  'guest-name': {
    type: 'string',
    requiresArg: true,
    describe: 'Name of the guest in the store; only with one guest',
  },
  print: { type: 'boolean', describe: 'Only print the units' },
  cron: { type: 'boolean', conflicts: 'print', describe: 'Only print a line for a crontab' },
  system: { type: 'boolean', describe: 'Use the system’s systemd (the default for root)' },
  user: {
    type: 'boolean',
    conflicts: 'system',
    describe: 'Use this account’s systemd (the default for others)',
  },
  remove: { type: 'boolean', describe: 'Remove the schedule; backups stay' },
} as const satisfies Record<string, Options>;

export const scheduleCommand: Command<GuestDependencies> = {
  usage: 'schedule [guests..]',
  summary: 'Back guests up regularly with a systemd timer, and prune old snapshots',
  repeatable: repeatableBackingDirectory,
  define: (parser) =>
    parser
      .positional('guests', { type: 'string', array: true, describe: 'Names of guests, or paths of images' })
      .options(scheduleOptions)
      .options(keepOptions)
      .options(passphraseOptions)
      .options(runReportOptions)
      .example('$0 schedule web --to sftp://u1@offsite/web --at 03:00 --keep-daily 7', 'every night')
      .example('$0 schedule web mail --to @offsite --at "Sun 04:00" --print', 'only show the units')
      .example('$0 schedule web --remove', 'remove the schedule'),
  read: (args) => {
    const isSystem = flag(args, 'system') || (!flag(args, 'user') && process.getuid?.() === 0);
    return flag(args, 'remove') ? readRemoval(args, isSystem) : readSchedule(args, isSystem);
  },
};

function readSchedule(args: Arguments, isSystem: boolean) {
  const guests = guestNames(args);
  if (guests.length === 0) throw new Failure('usage', 'No guest was given.');
  const request: ScheduleRequest = {
    guests,
    store: optionalText(args, 'to'),
    at: text(args, 'at'),
    keep: readKeepOptions(args),
    // Only options: passphrases from the environment go into the unit's environment.
    passphrase: readPassphraseOptions(args, {}),
    sshConfigFile: optionalText(args, 'ssh-config'),
    reports: checkedReports(args),
    keepClones: !flag(args, 'no-clone'),
    whileRunning: flag(args, 'halt') ? 'halt' : flag(args, 'pause') ? 'pause' : 'clone',
    maxPauseMs: readMaxPauseMs(args),
    limitRate: readLimitRate(args),
    ...readImageFormat(args),
    backingDirectories: readBackingDirectories(args),
    name: optionalText(args, 'name'),
    guestName: readGuestName(args, guests),
    isSystem,
    output: flag(args, 'cron') ? 'cron' : flag(args, 'print') ? 'print' : 'units',
  };
  // A directory that is not there is refused now, not at night.
  return withBackingOption(args, async ({ dependencies, context }: CommandEnvironment<GuestDependencies>) => {
    const { loadConfig } = await import('../../config/load-config.ts');
    const { resolveStore } = await import('../../config/resolve-store.ts');
    const { scheduleBackups } = await import('../../operations/schedule/schedule.ts');
    const { scheduleWorld } = await import('../../operations/schedule/units.ts');
    const { refuseLimitWithoutLine } = await import('../../operations/store-access/refuse-limit.ts');
    const config = await loadConfig(process.env, context);
    // Refuse a wrong location now, not at night.
    const { location } = resolveStore(config, request.store);
    refuseLimitWithoutLine(parseStoreLocation(location), request.limitRate);
    const world = scheduleWorld(isSystem, process.env);
    const report = await scheduleBackups(request, config, dependencies, world, context);
    return { record: report, text: scheduleReportText(report) };
  });
}

/** Throws Failure `usage`. */
function readGuestName(args: Arguments, guests: readonly string[]): string | null {
  const name = optionalText(args, 'guest-name');
  if (name !== null && guests.length > 1)
    throw new Failure('usage', '--guest-name works with one guest only, and several were given.');
  return name;
}

function readRemoval(args: Arguments, isSystem: boolean) {
  const name = optionalText(args, 'name') ?? optionalText(args, 'guest-name') ?? guestNames(args).join('-');
  if (name === '') throw new Failure('usage', 'No schedule was given: name its guest, or use --name.');
  return async ({ context }: CommandEnvironment<GuestDependencies>) => {
    const { removeSchedule, scheduleWorld } = await import('../../operations/schedule/units.ts');
    const report = await removeSchedule(name, isSystem, scheduleWorld(isSystem, process.env), context);
    return { record: report, text: unscheduleReportText(report) };
  };
}

function guestNames(args: Arguments): string[] {
  const { guests } = args;
  return Array.isArray(guests) ? guests.map(String).filter((guest) => guest !== '') : [];
}

/** Refuses a URL with a secret: everybody on the machine can read units and the arguments of a process. */
function checkedReports(args: Arguments) {
  const reports = readRunReportOptions(args);
  const url = reports.pingUrl === null ? null : new URL(reports.pingUrl);
  if (url !== null && url.username + url.password !== '')
    throw new Failure(
      'usage',
      'The ping URL contains a user or a password, and everybody can read a systemd unit.',
      {
        advice:
          'Put the URL into the configuration file instead, as `ping-url`, with mode 0600: doc/schedule.md.',
      },
    );
  return reports;
}

export function scheduleReportText(report: ScheduleReport): string {
  if (report.cronLine !== null) return report.cronLine;
  const shown = report.files.map(({ path, text: content }) => `# ${path}\n${content}`).join('\n');
  return report.state === 'printed' ? shown.trimEnd() : `${shown}\n${whatNext(report)}`;
}

function whatNext({ unit, state, isSystem, replaced, prunes }: ScheduleReport): string {
  const systemctl = isSystem ? 'systemctl' : 'systemctl --user';
  const journal = isSystem ? 'journalctl -u' : 'journalctl --user-unit';
  const lines = [
    replaced ? 'This replaced the old schedule.' : null,
    state === 'enabled'
      ? `The timer is on: ${systemctl} list-timers ${unit}.timer`
      : `To switch it on: ${systemctl} daemon-reload && ${systemctl} enable --now ${unit}.timer`,
    `To try it now:   ${systemctl} start ${unit}.service; then ${journal} ${unit}`,
    isSystem ? null : 'To run it also while you are not logged in: loginctl enable-linger',
    prunes ? null : 'Old snapshots are never removed. To remove them, add for example --keep-daily 7',
  ];
  return lines.filter((line) => line !== null).join('\n');
}

export function unscheduleReportText({ unit, removed }: UnscheduleReport): string {
  return `Removed the schedule ${unit}: ${removed.join(', ')}. The backups are still there.`;
}

import type { Argv } from 'yargs';
import {
  backingDirectoryOption,
  repeatableBackingDirectory,
  withBackingOption,
} from '../options/images/backing-directory-option.ts';
import { imageFormatOption, readImageFormat } from '../options/images/image-format-options.ts';
import { Failure } from '../../failure.ts';
import type { BackupDependencies } from '../../operations/backup/options.ts';
import type { BackupRequest } from '../../operations/backup/backup.ts';
import type { BackupReport } from '../../operations/backup/backup-report.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
  type OpenedArguments,
} from '../options/backup-store-options.ts';
import { limitRateOption } from '../options/limit-rate-option.ts';
import { readElsewhere, readScratch, scratchOption } from '../options/archive-options.ts';
import type { Command } from '../options/command.ts';
import { flag, optionalText, wholeNumberOr, type Arguments } from '../options/options.ts';
import type { CommandResult } from '../reporters/reporter.ts';
import { readRunReportOptions, runReportOptions } from '../options/run-report-options.ts';
import { backupText } from '../texts/backup-text.ts';
import {
  bootOptions,
  haltOptions,
  maxPauseOption,
  readBootOptions,
  readHaltOptions,
  readMaxPauseMs,
} from '../options/guest-options.ts';

export const backupCommand: Command<BackupDependencies & StoreDependencies> = {
  usage: 'backup <guests..>',
  summary: 'Back guests up to a store: a directory, or a path on any SFTP server',
  repeatable: repeatableBackingDirectory,
  define: (parser: Argv) =>
    parser
      .positional('guests', {
        type: 'string',
        array: true,
        describe:
          'Names of guests, or paths: of images that no guest uses, of archives (of vmferry export, OVA), or of images that are ' +
          'compressed with bzip2, gzip, xz or zstd. HOST:PATH is an archive on another machine, - is standard input',
      })
      .options({
        to: { type: 'string', requiresArg: true, describe: storeDescription },
        encrypt: { type: 'boolean', describe: 'Refuse a store that is not encrypted' },
        pause: {
          type: 'boolean',
          describe: 'Pause a running guest while its disk is read, if its file system has no reflinks',
        },
        halt: {
          type: 'boolean',
          describe: 'Halt a running guest, and start it again after its disk was read',
        },
        ...maxPauseOption,
        compression: {
          type: 'string',
          default: 'auto',
          requiresArg: true,
          describe: 'zstd level, 1 to 19; auto: 1 to 9, to suit the line and the cores',
        },
        'image-format': imageFormatOption,
        ...backingDirectoryOption,
        scratch: scratchOption,
        'every-block': { type: 'boolean', describe: 'Back up free blocks of the file system, too' },
        'no-clone': {
          type: 'boolean',
          describe:
            'On XFS and btrfs, keep no clone beside the image, and remove old ones; let QEMU record no writes. The next backup then reads everything',
        },
        name: {
          type: 'string',
          requiresArg: true,
          describe: 'Name of the guest in the store; only with one guest',
        },
        adopt: {
          type: 'boolean',
          describe:
            'Continue the snapshots of this name, although they were made from another image or machine',
        },
        ...haltOptions,
        ...bootOptions,
        ...limitRateOption,
        ...backupStoreOptions,
        ...runReportOptions,
      })
      .example('$0 backup web --to /mnt/backups', 'on XFS and btrfs the guest goes on running')
      .example('$0 backup web mail --to backup@example.org:vmferry', 'two guests, off site')
      .example('$0 backup /srv/old.img --to sftp://backup@example.org/vmferry', 'an image that no guest uses')
      .example('$0 backup web.tar.zst debian-root.bz2 --to /mnt/backups', 'the guests in two archives')
      .example(
        '$0 backup box:archives/web.tar.zst --to /mnt/backups --scratch /var/tmp',
        'the guest in an archive on another machine',
      ),
  read: (args) => {
    const wantedGuests = readBackupRequest(args);
    const storeArguments = readStoreArguments(args, 'to');
    const wanted = { kind: 'for-backups', mustBeEncrypted: flag(args, 'encrypt') } as const;
    const reports = readRunReportOptions(args);
    return withBackingOption(args, async (environment) => {
      const { dependencies, context, stdin } = environment;
      const elsewhere = readElsewhere(args, wantedGuests.guests, stdin);
      const request = { ...wantedGuests, elsewhere };
      if (request.name !== null)
        (await import('../../operations/store-access/stored-names.ts')).checkStoredName(request.name);
      const load = () => {
        // Reading the property starts its threads.
        void dependencies.pool;
        return import('../../operations/backup/backup.ts');
      };
      let report: BackupReport | null = null;
      const work = async ({ session, guestDone }: OpenedArguments) => {
        const { backup } = await load();
        report = await backup(request, session, dependencies, context);
        for (const { guest, newBytes, disks } of report.guests)
          guestDone(guest, { newBytes, readBytes: disks.reduce((sum, { readBytes }) => sum + readBytes, 0) });
        // Throws inside the watched run, so that monitors hear of each guest without a new snapshot.
        refuseIncomplete(report);
        return resultOf(report);
      };
      try {
        const guests = request.name === null ? request.guests : [request.name];
        const watched = { operation: 'backup' as const, guests, reports };
        return await withStore(storeArguments, wanted, environment, work, watched, { load });
      } catch (error) {
        if (report === null || !(error instanceof Failure)) throw error;
        return { ...resultOf(report), failure: error };
      }
    });
  },
};

function readBackupRequest(args: Arguments): BackupRequest {
  const [pause, halt] = [flag(args, 'pause'), flag(args, 'halt')];
  if (pause && halt) throw new Failure('usage', '--pause and --halt exclude each other.');
  const guests = args['guests'];
  if (!Array.isArray(guests) || guests.length === 0) throw new Failure('usage', 'No guest was given.');
  const names = [...new Set(guests.map(String))];
  return {
    guests: names,
    name: readStoredName(args, names),
    adopt: flag(args, 'adopt'),
    hold: halt ? 'halt' : pause ? 'pause' : 'clone',
    compression: wholeNumberOr(args, 'compression', 1, 19, 'auto'),
    everyBlock: flag(args, 'every-block'),
    scratch: readScratch(args),
    ...readImageFormat(args),
    keepClones: !flag(args, 'no-clone'),
    maxPauseMs: readMaxPauseMs(args),
    ...readHaltOptions(args),
    ...readBootOptions(args),
  };
}

/** Throws Failure `usage`. */
function readStoredName(args: Arguments, guests: readonly string[]): string | null {
  const name = optionalText(args, 'name');
  if (name !== null && guests.length > 1)
    throw new Failure('usage', '--name works with one guest only, and several were given.');
  return name;
}

function resultOf(report: BackupReport): CommandResult {
  return { record: report, text: backupText(report), isSummary: true };
}

/** Throws the worst failure with the names of all failed guests. Each failure was shown with its reason before. */
export function refuseIncomplete({ failed }: Pick<BackupReport, 'failed'>): void {
  const worst = failed.find(({ code }) => code === 'guest-left-down') ?? failed[0];
  if (worst === undefined) return;
  const names = failed.map(({ guest }) => guest).join(', ');
  const message =
    worst.code === 'guest-left-down'
      ? `Not backed up, or down: ${names}.`
      : `There is no new snapshot of ${names}.`;
  const { advice = 'Fix the error shown above, then back it up again.' } = worst;
  throw new Failure(worst.code, message, {
    advice: failed.length > 1 ? `${worst.guest}: ${advice}` : advice,
  });
}

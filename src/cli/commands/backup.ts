import type { Argv } from 'yargs';
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
  summary: 'Make a snapshot of guests in a store, here or on any SFTP server',
  define: (parser: Argv) =>
    parser
      .positional('guests', {
        type: 'string',
        array: true,
        describe: 'Guests by their names, or paths of images that nothing runs',
      })
      .options({
        to: { type: 'string', requiresArg: true, describe: storeDescription },
        encrypt: { type: 'boolean', describe: 'Refuse a store that is not encrypted' },
        pause: {
          type: 'boolean',
          describe: 'Stop a running guest while it is read, where its file system has no reflinks',
        },
        halt: { type: 'boolean', describe: 'Halt a running guest, and start it again when it was read' },
        ...maxPauseOption,
        compression: {
          type: 'string',
          default: 'auto',
          requiresArg: true,
          describe: 'zstd level, 1 to 19; auto: as the line and the cores allow, 1 to 9',
        },
        'every-block': { type: 'boolean', describe: 'Keep blocks that the file system says are free, too' },
        'no-clone': {
          type: 'boolean',
          describe:
            'Keep no clone beside an image on XFS or btrfs: it saves reading what has not changed since; remove those kept',
        },
        name: {
          type: 'string',
          requiresArg: true,
          describe: 'Keep the guest in the store under this name; only with one guest',
        },
        adopt: {
          type: 'boolean',
          describe: 'The snapshots under its name are this guest’s, though made elsewhere: go on with them',
        },
        ...haltOptions,
        ...bootOptions,
        ...backupStoreOptions,
        ...runReportOptions,
      })
      .example('$0 backup web --to /mnt/backups', 'the guest goes on running, where reflinks are')
      .example('$0 backup web mail --to backup@example.org:vmferry', 'two guests, off site')
      .example('$0 backup /srv/old.img --to sftp://backup@example.org/vmferry', 'an image that nothing runs'),
  read: (args) => {
    const request = readBackupRequest(args);
    const storeArguments = readStoreArguments(args, 'to');
    const wanted = { kind: 'for-backups', mustBeEncrypted: flag(args, 'encrypt') } as const;
    const reports = readRunReportOptions(args);
    return async (environment) => {
      const { dependencies, context } = environment;
      if (request.name !== null)
        (await import('../../operations/store-access/stored-names.ts')).checkStoredName(request.name);
      const load = () => {
        // Asked for, its threads start.
        void dependencies.pool;
        return import('../../operations/backup/backup.ts');
      };
      let report: BackupReport | null = null;
      const work = async ({ session, guestDone }: OpenedArguments) => {
        const { backup } = await load();
        report = await backup(request, session, dependencies, context);
        for (const { guest, newBytes, disks } of report.guests)
          guestDone(guest, { newBytes, readBytes: disks.reduce((sum, { readBytes }) => sum + readBytes, 0) });
        // Who watches over it must hear of each guest that has no new snapshot.
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
    };
  },
};

function readBackupRequest(args: Arguments): BackupRequest {
  const [pause, halt] = [flag(args, 'pause'), flag(args, 'halt')];
  if (pause && halt) throw new Failure('usage', '--pause and --halt exclude each other.');
  const guests = args['guests'];
  if (!Array.isArray(guests) || guests.length === 0) throw new Failure('usage', 'No guest is named.');
  const names = [...new Set(guests.map(String))];
  return {
    guests: names,
    name: readStoredName(args, names),
    adopt: flag(args, 'adopt'),
    hold: halt ? 'halt' : pause ? 'pause' : 'clone',
    compression: wholeNumberOr(args, 'compression', 1, 19, 'auto'),
    everyBlock: flag(args, 'every-block'),
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
    throw new Failure('usage', '--name is for one guest, and several are named.');
  return name;
}

function resultOf(report: BackupReport): CommandResult {
  return { record: report, text: backupText(report), isSummary: true };
}

/** Throws what the worst of them failed with, with the names of all: each has been told before, with its reason. */
export function refuseIncomplete({ failed }: Pick<BackupReport, 'failed'>): void {
  const worst = failed.find(({ code }) => code === 'guest-left-down') ?? failed[0];
  if (worst === undefined) return;
  const names = failed.map(({ guest }) => guest).join(', ');
  const message =
    worst.code === 'guest-left-down'
      ? `Not backed up, or down: ${names}.`
      : `There is no new snapshot of ${names}.`;
  const { advice = 'Mend what is said above of each, and back it up again by its name.' } = worst;
  throw new Failure(worst.code, message, {
    advice: failed.length > 1 ? `${worst.guest}: ${advice}` : advice,
  });
}

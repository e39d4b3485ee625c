import type { Argv } from 'yargs';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import type { ExportDependencies } from '../../../operations/exchange/export.ts';
import type { ExportFile, ExportReport } from '../../../operations/exchange/export-report.ts';
import type { StoreDependencies } from '../../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  withStore,
  type OpenedArguments,
} from '../../options/backup-store-options.ts';
import { readExportFile } from '../../options/archive-options.ts';
import type { Command } from '../../options/command.ts';
import { bootOptions, haltOptions, readBootOptions, readHaltOptions } from '../../options/guest-options.ts';
import {
  backingDirectoryOption,
  repeatableBackingDirectory,
  withBackingOption,
} from '../../options/images/backing-directory-option.ts';
import { imageFormatOption, readImageFormat } from '../../options/images/image-format-options.ts';
import { flag, optionalText, text, wholeNumberOr, type Arguments } from '../../options/options.ts';
import { exportReportText } from '../../texts/exchange-text.ts';

export const exportCommand: Command<ExportDependencies & StoreDependencies> = {
  usage: 'export <source> [snapshot]',
  summary: 'Write a guest, an image or a backup to one file that any machine can open',
  repeatable: repeatableBackingDirectory,
  define: (parser: Argv) =>
    parser
      .positional('source', {
        type: 'string',
        describe:
          'A guest, by its name, or the path of an image that no guest uses. With a snapshot, a store of backups: a ' +
          'directory, HOST:PATH, sftp://[USER@]HOST[:PORT]/PATH, or a name from the configuration file',
      })
      .positional('snapshot', {
        type: 'string',
        describe:
          'GUEST[@WHEN] of that store; WHEN is latest (the default), an id or its beginning, or a time',
      })
      .options({
        output: {
          alias: 'o',
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe:
            'A new file; its name tells the format: .tar.zst, .tar.gz, .tar.xz, .tar.bz2, .tar, or .img.bz2 and so on for ' +
            'the bare image. HOST:PATH is a file on another machine, - is standard output',
        },
        codec: {
          type: 'string',
          requiresArg: true,
          describe: 'zstd, gzip, xz, bzip2 or none, whatever the name says',
        },
        image: { type: 'boolean', describe: 'The bare image of the only disk, whatever the name says' },
        compression: {
          type: 'string',
          default: 'auto',
          requiresArg: true,
          describe: 'zstd level, 1 to 19; auto: 1 to 9, to suit the disk and the cores',
        },
        pause: {
          type: 'boolean',
          describe: 'Pause a running guest while its disk is read, if its file system has no reflinks',
        },
        halt: {
          type: 'boolean',
          describe: 'Halt a running guest, and start it again after its disk was read',
        },
        'every-block': { type: 'boolean', describe: 'Export free blocks of the file system, too' },
        'image-format': imageFormatOption,
        ...backingDirectoryOption,
        ...haltOptions,
        ...bootOptions,
        ...backupStoreOptions,
      })
      .example('$0 export web -o web.tar.zst', 'a halted guest, its definition and its disks')
      .example('$0 export web --halt -o /mnt/usb/web.tar.xz', 'halts it, and starts it again')
      .example('$0 export /srv/debian.img -o debian.img.bz2', 'one image, compressed with bzip2')
      .example('$0 export box:vmferry web@2026-11-20 -o web.tar.xz', 'a backup, without an image in between')
      .example('$0 export web -o box:archives/web.tar.zst', 'to another machine, by SFTP')
      .example('$0 export web -o - | ssh newhost vmferry import - --to /srv/guests/', 'through a pipe'),
  read: (args) => {
    const file = { ...readExportFile(args), compression: wholeNumberOr(args, 'compression', 1, 19, 'auto') };
    if (file.output === null && flag(args, 'json'))
      throw new Failure('usage', 'With --json, standard output is for JSON: name a file with -o.');
    const snapshot = optionalText(args, 'snapshot');
    return snapshot === null ? readGuestExport(args, file) : readSnapshotExport(args, snapshot, file);
  },
};

type ExportRun = ReturnType<(typeof exportCommand)['read']>;

function readGuestExport(args: Arguments, file: ExportFile): ExportRun {
  const [pause, halt] = [flag(args, 'pause'), flag(args, 'halt')];
  if (pause && halt) throw new Failure('usage', '--pause and --halt exclude each other.');
  const request = {
    guest: text(args, 'source'),
    ...file,
    everyBlock: flag(args, 'every-block'),
    hold: halt ? 'halt' : pause ? 'pause' : 'clone',
    ...readImageFormat(args),
    ...readHaltOptions(args),
    ...readBootOptions(args),
  } as const;
  return withBackingOption(args, async ({ dependencies, context, stdout }) => {
    const { exportGuest } = await import('../../../operations/exchange/export.ts');
    return outcome(await exportGuest(request, stdout, dependencies, context), context);
  });
}

function readSnapshotExport(args: Arguments, snapshot: string, file: ExportFile): ExportRun {
  for (const name of ['pause', 'halt', 'every-block', 'force-halt', 'image-format', 'backing-directory'])
    if (args[name] !== undefined)
      throw new Failure('usage', `--${name} has no effect on a snapshot of a store.`);
  const storeArguments = readStoreArguments(args, 'source');
  return async (environment) => {
    const { parseSnapshotReference } = await import('../../../operations/store-access/choose-snapshot.ts');
    const { dependencies, context, stdout } = environment;
    const reference = parseSnapshotReference(snapshot);
    const load = () => {
      // Reading the property starts its threads.
      void dependencies.pool;
      return import('../../../operations/exchange/export-snapshot.ts');
    };
    const work = async ({ session }: OpenedArguments) => {
      const { exportSnapshot } = await load();
      return outcome(await exportSnapshot(reference, file, stdout, session, dependencies, context), context);
    };
    return withStore(storeArguments, null, environment, work, null, { load });
  };
}

function outcome(report: ExportReport, { report: tell }: Context) {
  const summary = exportReportText(report);
  if (report.output !== null) return { record: report, text: summary, isSummary: true };
  // Standard output is the archive's.
  tell({ type: 'notice', message: summary });
  return { record: report, text: '' };
}

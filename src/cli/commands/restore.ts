import { resolve } from 'node:path';
import process from 'node:process';
import type { Argv } from 'yargs';
import type { RestoreDependencies } from '../../operations/restore/restore.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
  type OpenedArguments,
} from '../options/backup-store-options.ts';
import { readTargetFormat, targetFormatOption } from '../options/images/image-format-options.ts';
import { asOptions, oldHostIsGoneOption, readStart } from '../options/as-options.ts';
import { repeatableConversionOptions } from '../options/conversion-options.ts';
import { limitRateOption } from '../options/limit-rate-option.ts';
import type { Command } from '../options/command.ts';
import { confirmation } from '../terminal/confirmation.ts';
import { flag, optionalText, text } from '../options/options.ts';
import { bootOptions } from '../options/guest-options.ts';
import { restoreReportText } from '../texts/restore-text.ts';

export const restoreCommand: Command<RestoreDependencies & StoreDependencies> = {
  repeatable: repeatableConversionOptions,
  usage: 'restore <store> <snapshot>',
  summary: 'Restore a guest, or one of its disks, from a store of backups',
  define: (parser: Argv) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('snapshot', {
        type: 'string',
        describe: 'GUEST[@WHEN]; WHEN is latest (the default), an id or its beginning, or a time',
      })
      .options({
        to: {
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe: 'A new file, a directory (for all disks), or with --in-place a file or block device',
        },
        disk: { type: 'string', requiresArg: true, describe: 'Only the disk with this name' },
        format: targetFormatOption,
        'in-place': {
          type: 'boolean',
          describe: 'Overwrite an existing file or device; only what differs is written',
        },
        'allow-missing': {
          type: 'boolean',
          describe: 'Restore what is left of a damaged snapshot; missing data reads as zero',
        },
        start: { type: 'boolean', describe: 'Boot the guest here after the restore' },
        'old-host-is-gone': oldHostIsGoneOption,
        ...asOptions,
        ...bootOptions,
        ...limitRateOption,
        ...backupStoreOptions,
      })
      .example('$0 restore /mnt/backups web --to /srv/guests/web.img', 'the latest snapshot, to a new file')
      .example(
        '$0 restore box:vmferry web --to /srv/guests/ --start',
        'all disks, then boot the guest: see doc/disaster.md',
      )
      .example('$0 restore box:vmferry web --to /dev/vg0/web --in-place', 'onto a logical volume'),
  read: (args) => {
    const storeArguments = readStoreArguments(args, 'store');
    const to = text(args, 'to');
    const snapshot = text(args, 'snapshot');
    const options = {
      // A slash at the end means a directory.
      to: `${resolve(to)}${/[^/]\/+$/.test(to) ? '/' : ''}`,
      disk: optionalText(args, 'disk'),
      ...readTargetFormat(args),
      inPlace: flag(args, 'in-place'),
      allowMissing: flag(args, 'allow-missing'),
    };
    const start = readStart(args);
    const mayAsk = !flag(args, 'json');
    return async (environment) => {
      const { parseSnapshotReference } = await import('../../operations/store-access/choose-snapshot.ts');
      const { dependencies, context, stdin } = environment;
      const ask = mayAsk ? confirmation(stdin, process.stderr) : null;
      const request = {
        reference: parseSnapshotReference(snapshot),
        ...options,
        start: start === null ? null : { ...start, ask },
      };
      const load = () => {
        // Reading the property starts its threads.
        void dependencies.pool;
        return import('../../operations/restore/restore.ts');
      };
      const work = async ({ session }: OpenedArguments) => {
        const { restore } = await load();
        const { report, failure } = await restore(request, session, dependencies, context);
        const result = { record: report, text: restoreReportText(report), isSummary: true };
        return failure === null ? result : { ...result, failure };
      };
      return withStore(storeArguments, null, environment, work, null, { load });
    };
  },
};

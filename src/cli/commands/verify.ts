import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { Failure } from '../../failure.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import type { BootDependencies } from '../../operations/verify/boot-snapshot.ts';
import type { VerifyReport } from '../../operations/verify/verify-report.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
  type OpenedArguments,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import { optionalText, type Arguments } from '../options/options.ts';
import type { CommandResult } from '../reporters/reporter.ts';
import { readRunReportOptions, runReportOptions } from '../options/run-report-options.ts';
import { bootOptions, readBootOptions } from '../options/guest-options.ts';
import { verifyText } from '../texts/verify-text.ts';

export const verifyCommand: Command<BootDependencies & StoreDependencies> = {
  usage: 'verify [store] [guest]',
  summary: 'Check that the snapshots in a store can be restored: by files, by data, or by booting one',
  define: (parser: Argv) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('guest', { type: 'string', describe: 'Only this guest' })
      .options({
        'read-data': {
          type: 'string',
          describe: 'Download and check all data; =10%: only the tenth that was checked longest ago',
        },
        boot: {
          type: 'string',
          requiresArg: true,
          describe:
            'Restore this guest (GUEST[@WHEN]) to a copy, boot the copy without network, and remove it',
        },
        scratch: {
          type: 'string',
          requiresArg: true,
          describe: 'Directory for the copy of --boot; by default the one for temporary files',
        },
        ...bootOptions,
        ...backupStoreOptions,
        ...runReportOptions,
      })
      .example('$0 verify /mnt/backups', 'check that nothing is missing: quick, reads no data')
      .example('$0 verify /mnt/backups --read-data=10%', 'check a tenth of the data')
      .example('$0 verify backup@example.org:vmferry web --boot web', 'prove that the backup boots'),
  read: (args) => {
    const storeArguments = readStoreArguments(args, 'store');
    const request = { guest: optionalText(args, 'guest'), readPercent: readPercent(args) };
    const boot = optionalText(args, 'boot');
    const scratchDirectory = resolve(optionalText(args, 'scratch') ?? tmpdir());
    const bootTimeout = readBootOptions(args);
    const reports = readRunReportOptions(args);
    return async (environment) => {
      const { parseSnapshotReference } = await import('../../operations/store-access/choose-snapshot.ts');
      const { dependencies, context } = environment;
      const reference = boot === null ? null : parseSnapshotReference(boot);
      const load = () => {
        // Reading the property starts its threads.
        if (request.readPercent > 0) void dependencies.pool;
        return Promise.all([
          import('../../operations/verify/verify-store.ts'),
          import('../../operations/verify/boot-snapshot.ts'),
        ]);
      };
      let report: VerifyReport | null = null;
      const work = async ({ session, guestDone }: OpenedArguments) => {
        const [{ verifyStore }, { bootSnapshot }] = await load();
        const bootRequest = reference && { reference, scratchDirectory, ...bootTimeout };
        const bootCheck = bootRequest && {
          guest: bootRequest.reference.guest,
          run: () => bootSnapshot(bootRequest, session, dependencies, context),
        };
        const asked = { ...request, boot: bootCheck };
        const result = await verifyStore(asked, session, dependencies, guestDone, context);
        ({ report } = result);
        // Throws inside the watched run, so that monitors hear of it.
        if (result.failure !== null) throw result.failure;
        return resultOf(report);
      };
      try {
        const guests = request.guest === null ? [] : [request.guest];
        const watched = { operation: 'verify' as const, guests, reports };
        return await withStore(storeArguments, null, environment, work, watched, { load });
      } catch (error) {
        if (report === null || !(error instanceof Failure)) throw error;
        return { ...resultOf(report), failure: error };
      }
    };
  },
};

function resultOf(report: VerifyReport): CommandResult {
  return { record: report, text: verifyText(report), isSummary: true };
}

/** 0: only the structure; `--read-data` alone: 100. Throws Failure `usage`. */
export function readPercent(args: Arguments): number {
  const value = args['read-data'];
  if (value === undefined) return 0;
  if (value === '' || value === '100%') return 100;
  const [, digits = ''] = /^([1-9]\d?)%$/.exec(typeof value === 'string' ? value : '') ?? [];
  if (digits !== '') return Number(digits);
  throw new Failure('usage', '--read-data takes no value, or a percentage: --read-data=10%.');
}

import { localTimeZone } from '../../figures.ts';
import { durationForm, parseDuration } from '../../config/duration.ts';
import { Failure } from '../../failure.ts';
import type { PruneClock } from '../../operations/prune/prune-options.ts';
import type { PruneReport } from '../../operations/prune/prune-report.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
  type OpenedArguments,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import type { KeepSettings } from '../../config/config.ts';
import { keepOptions, readKeepOptions } from '../options/keep-options.ts';
import { flag, optionalText, wholeNumber, type Arguments } from '../options/options.ts';
import { readRunReportOptions, runReportOptions } from '../options/run-report-options.ts';
import type { CommandResult } from '../reporters/reporter.ts';
import { pruneText } from '../texts/prune-text.ts';

export const pruneCommand: Command<StoreDependencies & Pick<PruneClock, 'randomHex'>> = {
  usage: 'prune [store]',
  summary: 'Remove the snapshots that no rule keeps, and free their space',
  define: (parser) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .options({
        guest: {
          type: 'string',
          requiresArg: true,
          describe: 'Only this guest; by default all guests in the store',
        },
        ...keepOptions,
        'dry-run': { type: 'boolean', describe: 'Change nothing; show which snapshots are kept and why' },
        grace: {
          type: 'string',
          default: '24h',
          requiresArg: true,
          describe: 'Delete unneeded data only after this long, to protect running backups: 0, 36h, 2d',
        },
        'max-waste': {
          type: 'number',
          default: 20,
          requiresArg: true,
          describe: 'Repack until at most this percentage of the stored bytes is no longer needed',
        },
        ...backupStoreOptions,
        ...runReportOptions,
      })
      .example('$0 prune /mnt/backups --keep-daily 7 --keep-weekly 4 --dry-run', 'show what these rules keep')
      .example(
        '$0 prune offsite --keep-within 30d --keep-monthly 12',
        'all of the last 30 days, then one a month',
      ),
  read: (args) => {
    const store = readStoreArguments(args, 'store');
    const request = {
      guest: optionalText(args, 'guest'),
      dryRun: flag(args, 'dry-run'),
      graceMs: readGrace(args),
      maxWaste: wholeNumber(args, 'max-waste', 0, 100) / 100,
    };
    const given = readKeepOptions(args);
    const reports = readRunReportOptions(args);
    return async (environment) => {
      let result: CommandResult | null = null;
      const work = async ({ session, config }: OpenedArguments) => {
        const { prune } = await import('../../operations/prune/prune.ts');
        const timeZone = localTimeZone();
        const clock = { ...environment.dependencies, timeZone };
        const rules = rulesOf(given, config.keep);
        result = resultOf(await prune({ ...request, rules }, session, clock, environment.context), timeZone);
        // Throws inside the watched run, so that monitors hear of it.
        if (result.failure !== undefined) throw result.failure;
        return result;
      };
      const guests = request.guest === null ? [] : [request.guest];
      const watched = { operation: 'prune' as const, guests, reports };
      try {
        // A dry run is not reported to monitors.
        const watchers = request.dryRun ? null : watched;
        const check = ({ keep }: OpenedArguments['config']) => void rulesOf(given, keep);
        return await withStore(store, null, environment, work, watchers, { check });
      } catch (error) {
        if (result === null || !(error instanceof Failure)) throw error;
        return result;
      }
    };
  },
};

/** The given rules; without any, those of the configuration. */
export function rulesOf(given: KeepSettings, configured: KeepSettings | null): KeepSettings {
  const rules = Object.keys(given).length > 0 ? given : configured;
  if (rules !== null) return rules;
  throw new Failure('usage', 'No rule says which snapshots to keep.', {
    advice:
      'Give rules such as --keep-daily 7 --keep-weekly 4, or put them into the configuration file. --dry-run shows what they keep.',
  });
}

function readGrace(args: Arguments): number {
  const text = optionalText(args, 'grace') ?? '';
  const graceMs = text === '0' ? 0 : parseDuration(text);
  if (graceMs === null) throw new Failure('usage', `--grace takes 0 or ${durationForm}.`);
  return graceMs;
}

function resultOf(report: PruneReport, timeZone: string): CommandResult {
  const result = { record: report, text: pruneText(report, timeZone), isSummary: !report.dryRun };
  const failed = report.guests.flatMap(({ guest, failure }) =>
    failure === null ? [] : [{ guest, failure }],
  );
  const [first] = failed;
  if (first === undefined) return result;
  const { code, message, advice } = first.failure;
  const others = failed.slice(1).map(({ guest }) => guest);
  const more = others.length === 0 ? '' : ` These failed, too: ${others.join(', ')}.`;
  return {
    ...result,
    failure: new Failure(code === 'store-unsupported' ? 'store-damaged' : code, `${message}${more}`, {
      advice,
    }),
  };
}

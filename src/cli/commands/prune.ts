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
import type { KeepRules } from '../../operations/schedule/keep-rules.ts';
import { keepOptions, readKeepOptions } from '../options/keep-options.ts';
import { flag, optionalText, wholeNumber, type Arguments } from '../options/options.ts';
import { readRunReportOptions, runReportOptions } from '../options/run-report-options.ts';
import type { CommandResult } from '../reporters/reporter.ts';
import { pruneText } from '../texts/prune-text.ts';

export const pruneCommand: Command<StoreDependencies & Pick<PruneClock, 'randomHex'>> = {
  usage: 'prune [store]',
  summary: 'Remove snapshots that no rule keeps, and free what only they needed',
  define: (parser) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .options({
        guest: { type: 'string', requiresArg: true, describe: 'Only this guest; else all of the store' },
        ...keepOptions,
        'dry-run': { type: 'boolean', describe: 'Change nothing; show what is kept and why' },
        grace: {
          type: 'string',
          default: '24h',
          requiresArg: true,
          describe: 'How long what is not needed stays, in case a backup that runs now needs it: 0, 36h, 2d',
        },
        'max-waste': {
          type: 'number',
          default: 20,
          requiresArg: true,
          describe: 'Write packs anew until at most so many per cent of the stored bytes are dead',
        },
        ...backupStoreOptions,
        ...runReportOptions,
      })
      .example('$0 prune /mnt/backups --keep-daily 7 --keep-weekly 4 --dry-run', 'what these rules keep')
      .example('$0 prune offsite --keep-within 30d --keep-monthly 12', 'a month in full, then one a month'),
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
        // Who watches over it must hear of it.
        if (result.failure !== undefined) throw result.failure;
        return result;
      };
      const guests = request.guest === null ? [] : [request.guest];
      const watched = { operation: 'prune' as const, guests, reports };
      try {
        // What would happen is nobody's business but one's own.
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

/** Those that were given; without any, the configuration's. */
export function rulesOf(given: KeepRules, configured: KeepRules | null): KeepRules {
  const rules = Object.keys(given).length > 0 ? given : configured;
  if (rules !== null) return rules;
  throw new Failure('usage', 'No rule says which snapshots to keep.', {
    advice:
      'Give one or more, such as --keep-daily 7 --keep-weekly 4, or write them into the configuration; --dry-run shows what they keep.',
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
  const more = others.length === 0 ? '' : ` Nor all of these: ${others.join(', ')}.`;
  return {
    ...result,
    failure: new Failure(
      code === 'store-unsupported' ? 'store-damaged' : code,
      `${message}${more}`,
      advice === undefined ? {} : { advice },
    ),
  };
}

import type { Argv } from 'yargs';
import type { DiffReport, DiskDiff } from '../../operations/stores/diff-snapshots.ts';
import { Failure } from '../../failure.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import { formatBytes } from '../../figures.ts';
import { formatTable } from '../terminal/format.ts';
import { optionalText, text } from '../options/options.ts';

/** Most ranges that the text shows of a disk; --json has all. */
const RANGES_SHOWN = 10;

export const diffCommand: Command<StoreDependencies> = {
  usage: 'diff <store> <from> [to]',
  summary: 'Show how much changed between two snapshots of a guest, and where',
  define: (parser: Argv) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('from', { type: 'string', describe: 'GUEST@WHEN, as for restore' })
      .positional('to', { type: 'string', describe: 'GUEST@WHEN; by default the latest snapshot' })
      .options(backupStoreOptions)
      .example('$0 diff /mnt/backups web@2026-11-21 web@2026-11-22', 'what changed in one day')
      .example('$0 diff /mnt/backups web@2026-11-21 --json', 'what changed until now: all ranges, in bytes'),
  read: (args) => {
    const storeArguments = readStoreArguments(args, 'store');
    const [from, to] = [text(args, 'from'), optionalText(args, 'to')];
    return async (environment) => {
      const { parseSnapshotReference } = await import('../../operations/store-access/choose-snapshot.ts');
      const { diffSnapshots } = await import('../../operations/stores/diff-snapshots.ts');
      const older = parseSnapshotReference(from);
      const newer = to === null ? { ...older, when: 'latest' } : parseSnapshotReference(to);
      if (older.guest !== newer.guest)
        throw new Failure('usage', `${older.guest} and ${newer.guest} are different guests.`, {
          advice: 'Compare two snapshots of one guest: GUEST@WHEN GUEST@WHEN.',
        });
      const request = { guest: older.guest, from: older.when, to: newer.when };
      return withStore(storeArguments, null, environment, async ({ session }) => {
        const report = await diffSnapshots(request, session, environment.context);
        return { record: report, text: diffText(report) };
      });
    };
  },
};

export function diffText({ guest, from, to, disks }: DiffReport): string {
  return [`${guest}, from ${from} to ${to}`, ...disks.map(diskText)].join('\n\n');
}

function diskText(disk: DiskDiff): string {
  const { name, fromBytes, toBytes, changedBytes, addedBytes, removedBytes, ranges } = disk;
  const size =
    fromBytes === toBytes || fromBytes === null || toBytes === null
      ? formatBytes(toBytes ?? fromBytes ?? 0)
      : `${formatBytes(fromBytes)}, then ${formatBytes(toBytes)}`;
  const presence = fromBytes === null ? ', new' : toBytes === null ? ', removed' : '';
  const heading = `${name} (${size}${presence})`;
  if (ranges.length === 0) return `${heading}: no difference`;
  const sums = [
    `${formatBytes(changedBytes)} changed`,
    `${formatBytes(addedBytes)} added`,
    `${formatBytes(removedBytes)} removed`,
  ];
  const largest = ranges.toSorted((one, other) => other.length - one.length).slice(0, RANGES_SHOWN);
  const table = formatTable(
    ['offset', 'size', ''],
    largest.map(({ offset, length, difference }) => [String(offset), formatBytes(length), difference]),
    new Set([0, 1]),
  );
  const others = ranges.length - largest.length;
  const more = others === 0 ? [] : [`and ${others} smaller ranges (--json shows all)`];
  return [`${heading}: ${sums.join(', ')}`, table, ...more].join('\n');
}

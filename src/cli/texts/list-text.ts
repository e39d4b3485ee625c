import type { GuestListing, SnapshotListing, StoreListing } from '../../operations/stores/list-store.ts';
import { formatBytes, formatTime } from '../../figures.ts';
import { formatCount, formatTable } from '../terminal/format.ts';

const heading = ['snapshot', 'made', 'size', 'in use', 'new', 'state', 'verified', ''];
const numbers = new Set([2, 3, 4]);

/** The snapshots of a store for people, with times in this machine's time zone. */
export function listingText({ store, guests }: StoreListing): string {
  if (guests.length === 0) return `There is no snapshot in ${store} yet.`;
  return guests.map(guestText).join('\n\n');
}

function guestText(listing: GuestListing): string {
  const { guest, snapshots, packs, storedBytes, trashBytes, damagedFiles } = listing;
  const hosts = [...new Set(snapshots.flatMap(({ host }) => (host === null ? [] : [host])))];
  const totals = [
    `${formatBytes(storedBytes)} in ${formatCount(packs, 'pack')}`,
    ...(trashBytes === 0 ? [] : [`${formatBytes(trashBytes)} in the trash`]),
    ...(damagedFiles === 0 ? [] : [formatCount(damagedFiles, 'damaged file')]),
    ...(hosts.length === 0 ? [] : [`made on ${hosts.join(' and ')}`]),
  ].join(', ');
  const problems = snapshots.flatMap(({ problem }) => (problem === null ? [] : [problem]));
  const table =
    snapshots.length === 0
      ? 'No snapshot yet: the first backup did not finish.'
      : formatTable(heading, snapshots.map(snapshotRow), numbers);
  return [`${guest}: ${totals}`, table, ...(problems.length === 0 ? [] : [problems.join('\n')])].join('\n\n');
}

function snapshotRow(snapshot: SnapshotListing): string[] {
  const { id, createdAt, sizeBytes, usedBytes, newBytes, consistency, verifiedAt, bootedAt } = snapshot;
  const notes = [
    ...(snapshot.problem !== null ? ['cannot be read'] : snapshot.state === 'damaged' ? ['damaged'] : []),
    ...(snapshot.isProtected ? ['protected'] : []),
  ];
  const verified = verifiedAt === null ? 'never' : formatTime(verifiedAt);
  return [
    id,
    formatTime(createdAt),
    sizeBytes === null ? '-' : formatBytes(sizeBytes),
    usedBytes === null ? '-' : formatBytes(usedBytes),
    newBytes === null ? '-' : formatBytes(newBytes),
    consistency ?? '-',
    bootedAt !== null && bootedAt === verifiedAt ? `${verified}, booted` : verified,
    notes.join(', '),
  ];
}

/** Snapshot ids are always in UTC. The note says so if the times are not. */
export function timesNote({ guests }: StoreListing, timeZone: string): string {
  if (guests.length === 0 || /^(?:Etc[/])?(?:UTC|GMT|Universal|Zulu)$/.test(timeZone)) return '';
  return `\n\nTimes are in ${timeZone}; the ids of snapshots are in UTC.`;
}

import { notDoneText, type BackupReport, type GuestBackup } from '../../operations/backup/backup-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatDuration, formatFields } from '../terminal/format.ts';

const consistencyText: Record<GuestBackup['consistency'], string> = {
  halted: 'the guest was halted',
  frozen: 'the guest was synced and stood still',
  'after-a-crash': 'as after a loss of power: a journal may have to be replayed',
};

/** What was made, for people. */
export function backupText({ store, guests, failed }: BackupReport): string {
  const made = guests.map((guest) => guestText(guest, store));
  const missed = failed.map((one) => notDoneText(one.guest, one));
  return [...made, ...missed].join('\n\n');
}

function guestText(
  { guest, snapshot, consistency, disks, newPlainBytes, newBytes, seconds }: GuestBackup,
  store: string,
) {
  const sum = (of: (disk: GuestBackup['disks'][number]) => number) =>
    disks.reduce((total, disk) => total + of(disk), 0);
  const unchangedBytes = sum((disk) => disk.unchangedBytes);
  const fields = formatFields([
    ['snapshot', `${guest}@${snapshot}`],
    ['state', consistencyText[consistency]],
    ['size', formatBytes(sum(({ sizeBytes }) => sizeBytes))],
    [
      'not read',
      `${formatBytes(sum(({ holeBytes }) => holeBytes))} holes, ${formatBytes(sum(({ freeBytes }) => freeBytes))} free` +
        (unchangedBytes > 0 ? `, ${formatBytes(unchangedBytes)} unchanged` : ''),
    ],
    ['read', formatBytes(sum(({ readBytes }) => readBytes))],
    ['new', `${formatBytes(newPlainBytes)} of whole chunks, ${formatBytes(newBytes)} in the store`],
    ['took', formatDuration(seconds)],
    ...disks.map(({ name, fingerprint }): [string, string] => ['fingerprint', `${fingerprint}  ${name}`]),
  ]);
  return `${guest} is backed up to ${store}\n\n${fields}`;
}

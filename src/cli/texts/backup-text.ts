import { notDoneText, type BackupReport, type GuestBackup } from '../../operations/backup/backup-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatDuration, formatFields } from '../terminal/format.ts';

const consistencyText: Record<GuestBackup['consistency'], string> = {
  halted: 'the guest was halted',
  frozen: 'the guest was synced and paused',
  'after-a-crash': 'as after a power failure: the guest may have to replay a journal',
};

/** The summary after a backup. */
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
    ['new', `${formatBytes(newPlainBytes)} in new chunks, ${formatBytes(newBytes)} added to the store`],
    ['took', formatDuration(seconds)],
    ...disks.map(({ name, fingerprint }): [string, string] => ['fingerprint', `${fingerprint}  ${name}`]),
  ]);
  return `${guest} is backed up to ${store}\n\n${fields}`;
}

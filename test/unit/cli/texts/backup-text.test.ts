import { expect, test } from '@jest/globals';
import { backupText } from '../../../../src/cli/texts/backup-text.ts';
import type { BackupReport, GuestBackup } from '../../../../src/operations/backup/backup-report.ts';

const web: GuestBackup = {
  guest: 'web',
  snapshot: '20261122T030000Z-1f3a9c2e',
  consistency: 'frozen',
  disks: [
    {
      name: 'web.img',
      sizeBytes: 4 * 2 ** 30,
      readBytes: 2 ** 30,
      holeBytes: 2 * 2 ** 30,
      unchangedBytes: 0,
      freeBytes: 2 ** 30,
      fingerprint: '0d7f27ff',
    },
  ],
  newPlainBytes: 2 ** 20,
  newBytes: 2 ** 19,
  seconds: 6,
};

const report: BackupReport = {
  type: 'backed-up',
  store: 'box:/home/backup/vmferry',
  guests: [web],
  failed: [],
};

test('unchanged bytes are shown only if there are any', () => {
  const [disk] = web.disks;
  const unchanged = { ...web, disks: disk === undefined ? [] : [{ ...disk, unchangedBytes: 2 ** 29 }] };
  expect(backupText(report)).not.toContain('unchanged');
  expect(backupText({ ...report, guests: [unchanged] })).toContain('free, 512 MiB unchanged');
});

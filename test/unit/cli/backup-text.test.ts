import { expect, test } from '@jest/globals';
import { backupText } from '../../../src/cli/commands/backup-text.ts';
import type { BackupReport, GuestBackup } from '../../../src/operations/backup-report.ts';

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

function report(newStore: BackupReport['newStore']): BackupReport {
  return { type: 'backed-up', store: 'box:/home/backup/vmferry', newStore, guests: [web], failed: [] };
}

test('who has made an encrypted store is told how to keep its key', () => {
  const text = backupText(report('encrypted'), 'sftp://backup@box:2222/./vmferry');
  expect(text).toMatch(/new, and encrypted[^]*vmferry key export sftp:\/\/backup@box:2222\/\.\/vmferry$/);
  expect(backupText(report('encrypted'), null)).toMatch(/vmferry key export$/);
});

test('who has made a plain store is told that it is one, and nobody is told again', () => {
  expect(backupText(report('plain'), '/mnt/backups')).toMatch(/new, and not encrypted[^]*--encrypt/);
  expect(backupText(report(null), '/mnt/backups')).not.toContain('new, and');
});

test('what had not changed is told only where there is such', () => {
  const [disk] = web.disks;
  const unchanged = { ...web, disks: disk === undefined ? [] : [{ ...disk, unchangedBytes: 2 ** 29 }] };
  expect(backupText(report(null), null)).not.toContain('unchanged');
  expect(backupText({ ...report(null), guests: [unchanged] }, null)).toContain('free, 512 MiB unchanged');
});

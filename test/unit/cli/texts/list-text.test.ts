import { expect, test } from '@jest/globals';
import { listingText, timesNote } from '../../../../src/cli/texts/list-text.ts';
import type { SnapshotListing } from '../../../../src/operations/stores/list-store.ts';

/** Texts show times in this machine's time zone, so the test's times are made in it. */
const at = (local: string) => new Date(local).toISOString();
const snapshot: SnapshotListing = {
  id: '20261122T030000Z-00000001',
  createdAt: at('2026-11-22T03:00:00'),
  consistency: 'frozen',
  host: 'alpha',
  sizeBytes: 2 ** 32,
  usedBytes: 2 ** 31,
  newBytes: 3 * 2 ** 20,
  isProtected: false,
  state: 'whole',
  checkedAt: at('2026-11-24T04:00:00'),
  verifiedAt: at('2026-11-23T04:05:59'),
  bootedAt: null,
  problem: null,
};

test('a store of one guest', () => {
  const snapshots: SnapshotListing[] = [
    snapshot,
    {
      ...snapshot,
      id: '20261123T030000Z-00000002',
      host: 'beta',
      bootedAt: snapshot.verifiedAt,
      isProtected: true,
    },
    {
      ...snapshot,
      id: '20261124T030000Z-00000003',
      state: 'damaged',
      verifiedAt: null,
      consistency: 'after-a-crash',
    },
    {
      ...snapshot,
      id: '20261125T030000Z-00000004',
      consistency: null,
      host: null,
      sizeBytes: null,
      usedBytes: null,
      newBytes: null,
      state: 'damaged',
      verifiedAt: null,
      problem: 'The manifest of the snapshot is damaged.',
    },
  ];
  const guest = {
    guest: 'web',
    snapshots,
    packs: 12,
    storedBytes: 2 ** 30,
    trashBytes: 2 ** 20,
    damagedFiles: 1,
  };
  expect(listingText({ type: 'store', store: '/srv/backups', isEncrypted: false, guests: [guest] })).toBe(
    [
      'web: 1.00 GiB in 12 packs, 1.00 MiB in the trash, 1 damaged file, made on alpha and beta',
      '',
      'snapshot                   made                  size    in use       new  state          verified',
      '20261122T030000Z-00000001  2026-11-22 03:00  4.00 GiB  2.00 GiB  3.00 MiB  frozen         2026-11-23 04:05',
      '20261123T030000Z-00000002  2026-11-22 03:00  4.00 GiB  2.00 GiB  3.00 MiB  frozen         2026-11-23 04:05, booted  protected',
      '20261124T030000Z-00000003  2026-11-22 03:00  4.00 GiB  2.00 GiB  3.00 MiB  after-a-crash  never                     damaged',
      '20261125T030000Z-00000004  2026-11-22 03:00         -         -         -  -              never                     cannot be read',
      '',
      'The manifest of the snapshot is damaged.',
    ].join('\n'),
  );
});

test('an empty store, and a guest without snapshots', () => {
  const store = { type: 'store', store: '/srv/backups', isEncrypted: false } as const;
  expect(listingText({ ...store, guests: [] })).toBe('There is no snapshot in /srv/backups yet.');
  const guest = { guest: 'web', snapshots: [], packs: 3, storedBytes: 4096, trashBytes: 0, damagedFiles: 0 };
  expect(listingText({ ...store, guests: [guest] })).toMatch(/^web: 4\.00 KiB in 3 packs\n\nNo snapshot yet/);
});

test('the time zone is shown if it is not UTC', () => {
  const listing = { type: 'store' as const, store: '/srv', isEncrypted: false, guests: [] };
  const guest = { guest: 'web', snapshots: [], packs: 0, storedBytes: 0, trashBytes: 0, damagedFiles: 0 };
  expect(timesNote({ ...listing, guests: [guest] }, 'Europe/Berlin')).toBe(
    '\n\nTimes are in Europe/Berlin; the ids of snapshots are in UTC.',
  );
  expect(timesNote({ ...listing, guests: [guest] }, 'UTC')).toBe('');
  expect(timesNote(listing, 'Europe/Berlin')).toBe('');
});

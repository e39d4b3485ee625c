import { expect, test } from '@jest/globals';
import { requireFewPages } from '../../../../src/operations/restore/require-few-pages.ts';
import type { SnapshotDisk } from '../../../../src/repository/snapshot.ts';

const full: SnapshotDisk = {
  name: 'data.img',
  sizeBytes: 2 ** 41,
  chunkBytes: 2 ** 21,
  fingerprint: `sha256:${'ab'.repeat(32)}`,
  mode: 0o600,
  uid: 0,
  gid: 0,
  modifiedMs: 0,
  pages: Array<string>(256).fill('cd'.repeat(32)),
};
const empty = { ...full, pages: Array<null>(256).fill(null) };

test('sixteen full disks of 2 TiB can be restored at once, and any number of empty ones', () => {
  const disks = Array<SnapshotDisk>(16).fill(full);
  expect(() => requireFewPages([...disks, ...Array<SnapshotDisk>(240).fill(empty)])).not.toThrow();
});

test('more of them are refused', () => {
  expect(() => requireFewPages(Array<SnapshotDisk>(17).fill(full))).toThrow(
    'To restore these 17 disks at once would take 544 MiB of memory for their chunk maps. The limit is 512 MiB.',
  );
});

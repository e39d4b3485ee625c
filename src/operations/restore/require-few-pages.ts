import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { POSITIONS_PER_PAGE } from '../../repository/chunk-index/chunk-map-page.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';

/** The pages of 16 large disks that are full (doc/store.md). */
const MOST_PAGES = 4096;
const BYTES_PER_PAGE = POSITIONS_PER_PAGE * 32;

/**
 * Many disks may share few pages, so a small store could fill any memory. Throws Failure `resources-short` if the disks
 * cannot be restored at once; never for a single disk.
 */
export function requireFewPages(disks: readonly SnapshotDisk[]): void {
  const pages = disks.reduce((sum, disk) => sum + disk.pages.filter((id) => id !== null).length, 0);
  if (pages <= MOST_PAGES) return;
  throw new Failure(
    'resources-short',
    `To restore these ${disks.length} disks at once would take ${formatBytes(pages * BYTES_PER_PAGE)} of memory for their chunk maps. The limit is ${formatBytes(MOST_PAGES * BYTES_PER_PAGE)}.`,
    { advice: 'Restore one disk at a time: vmferry restore … --disk NAME.' },
  );
}

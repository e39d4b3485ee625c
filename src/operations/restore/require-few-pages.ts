import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { POSITIONS_PER_PAGE } from '../../repository/chunk-index/chunk-map-page.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';

/** doc/store.md: those of 16 disks of which every chunk is in use, however large they are. */
const MOST_PAGES = 4096;
/** A restore keeps two ids for each position: what is to be there, and what was found. */
const BYTES_PER_PAGE = POSITIONS_PER_PAGE * 32 * 2;

/**
 * Many disks may share few pages, so that a small store could fill any memory. Throws Failure `resources-short` for disks
 * that are too many to be restored at once; never for a single one.
 */
export function requireFewPages(disks: readonly SnapshotDisk[]): void {
  const pages = disks.reduce((sum, disk) => sum + disk.pages.filter((id) => id !== null).length, 0);
  if (pages <= MOST_PAGES) return;
  throw new Failure(
    'resources-short',
    `To restore these ${disks.length} disks at once would take ${formatBytes(pages * BYTES_PER_PAGE)} of memory for their chunk maps. vmferry takes no more than ${formatBytes(MOST_PAGES * BYTES_PER_PAGE)} for them.`,
    { advice: 'Restore one disk at a time: vmferry restore … --disk NAME.' },
  );
}

import { probeImage, regionReader } from './probe.ts';
import { readPartitionTable } from './partitions/partition-table.ts';
import type { ImageSource } from './source/image-source.ts';

/** A disk may have more partitions than a person wants to read of. */
const MOST_NAMES = 16;

/**
 * What a disk holds, by what is recognised there: `ext4 "root"`, `swap`, `a partition table`. Empty if nothing is. Used to
 * warn before a disk is overwritten, so it rather names too much than too little. Throws Failure `read-failed`.
 */
export function contentNames(source: Pick<ImageSource, 'read' | 'sizeBytes'>): string[] {
  const table = readPartitionTable(regionReader(source, 0), source.sizeBytes);
  const names = probeImage(source).regions.flatMap(({ kind, label, reason }) => {
    if (kind === 'unknown') return [];
    if (kind === 'partition-table') return ['a partition table'];
    if (kind === 'ambiguous') return [reason ?? 'more than one file system'];
    return [label === undefined ? kind : `${kind} "${label}"`];
  });
  if (table.kind !== 'none') names.unshift('a partition table');
  return [...new Set(names)].slice(0, MOST_NAMES);
}

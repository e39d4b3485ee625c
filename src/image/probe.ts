import {
  SUPERBLOCK_BYTES,
  SUPERBLOCK_OFFSET,
  hasExtMagic,
  readExtIdentity,
} from './file-systems/ext/identity.ts';
import { checkExtUsage } from './file-systems/ext/used-blocks.ts';
import type { ImageSource } from './source/image-source.ts';
import { readPartitionTable } from './partitions/partition-table.ts';
import type { ReadAt } from './source/read-at.ts';
import { HEAD_BYTES, TAIL_BYTES, findSignatures, type Signature } from './file-systems/signatures.ts';

/** What lies in one stretch of an image: the whole disk, or a partition. */
export interface ImageRegion {
  offset: number;
  length: number;
  /**
   * `ext2`, `ext3`, `ext4`; or by signature `xfs`, `btrfs`, `swap`, `lvm2`, `luks`, `ntfs`, `vfat`, `md-raid` and
   * others; `ambiguous` when there is more than one; `partition-table` for a disk whose table is not understood;
   * `unknown`.
   */
  kind: string;
  label?: string;
  uuid?: string;
  /** null where it is not known: only ext2, ext3 and ext4 are asked. */
  clean: boolean | null;
  /** Bytes in use in the file system; null where it is not known. */
  usedBytes: number | null;
  /** The file system's own word on which blocks are free can be trusted. */
  skippable: boolean;
  /** Why not skippable, as the end of a sentence that begins with "all of it is moved: ". */
  reason?: string;
}

export interface ImageLayout {
  sizeBytes: number;
  /** Sorted and disjoint. What lies in none (partition tables, gaps) is data. */
  regions: readonly ImageRegion[];
}

/** A stretch of the image as a disk of its own. */
export function regionReader(source: Pick<ImageSource, 'read'>, start: number): ReadAt {
  return (offset, length) => source.read(start + offset, length);
}

/**
 * Finds out what lies in an image. Whatever the bytes say, it gives an answer; it throws only Failure `read-failed`
 * when the disk does not give them. All block bitmaps of ext file systems are read.
 */
export function probeImage(source: Pick<ImageSource, 'read' | 'sizeBytes'>): ImageLayout {
  const { sizeBytes } = source;
  const read = regionReader(source, 0);
  const table = readPartitionTable(read, sizeBytes);
  const onWholeDisk = identify(read, sizeBytes);
  const partitioned = table.kind === 'mbr' || table.kind === 'gpt';
  // a valid GPT's own second copy is no sign of anything else
  const others = onWholeDisk.filter(({ kind }) => !(table.kind === 'gpt' && kind === 'gpt-copy'));
  if (!partitioned || others.length > 0) return { sizeBytes, regions: [probeRegion(read, 0, sizeBytes)] };
  return {
    sizeBytes,
    regions: table.partitions.map(({ offset, length }) =>
      probeRegion(regionReader(source, offset), offset, length),
    ),
  };
}

type Found = Signature & { clean?: boolean; dirtyReason?: string | null };

function identify(read: ReadAt, length: number): Found[] {
  const headBytes = Math.min(length, HEAD_BYTES);
  const tailBytes = Math.min(length, TAIL_BYTES);
  const head = read(0, headBytes);
  const tail = read(length - tailBytes, tailBytes);
  const found: Found[] = findSignatures({ sizeBytes: length, head, tail });
  const superblock = head.subarray(SUPERBLOCK_OFFSET, SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES);
  if (hasExtMagic(superblock)) found.unshift(readExtIdentity(superblock));
  return found;
}

function probeRegion(read: ReadAt, offset: number, length: number): ImageRegion {
  const place = { offset, length, clean: null, usedBytes: null, skippable: false };
  const found = identify(read, length);
  const table = readPartitionTable(read, length);
  const names = found.map(({ kind }) => (kind === 'gpt-copy' ? 'a GPT partition table' : kind));
  if (table.kind !== 'none') names.push('a partition table');
  const [only] = found;
  if (names.length > 1)
    return { ...place, kind: 'ambiguous', reason: `it bears the marks of ${names.join(' and of ')}` };
  if (table.kind !== 'none') {
    const reason = table.kind === 'not-understood' ? table.reason : 'it is divided once more';
    return { ...place, kind: 'partition-table', reason };
  }
  if (only === undefined) return { ...place, kind: 'unknown', reason: 'nothing in it was recognised' };
  if (only.kind === 'gpt-copy')
    return { ...place, kind: 'partition-table', reason: 'its GPT partition table is damaged' };
  if (only.clean === undefined)
    return { ...place, ...only, reason: 'only ext2, ext3 and ext4 are asked which blocks are free' };
  return probeExt(read, place, only);
}

function probeExt(
  read: ReadAt,
  place: Pick<ImageRegion, 'offset' | 'length'>,
  { kind, label = '', uuid = '', clean = false, dirtyReason }: Found,
): ImageRegion {
  const identity = { ...place, kind, ...(label === '' ? {} : { label }), uuid, clean };
  const notUnderstood = { ...identity, usedBytes: null, skippable: false };
  if (dirtyReason !== null && dirtyReason !== undefined) return { ...notUnderstood, reason: dirtyReason };
  const usage = checkExtUsage(read, place.length);
  if (!usage.understood) return { ...notUnderstood, reason: usage.reason };
  return { ...identity, usedBytes: usage.usedBytes, skippable: true };
}

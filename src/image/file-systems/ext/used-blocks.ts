import { type Extent, mergeTouching } from '../../../extent/extents.ts';
import type { FileSystemUsage } from '../file-system.ts';
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from './identity.ts';
import { Doubt, orDoubt } from '../doubt.ts';
import { checkedUsage } from '../checked-usage.ts';
import { allSet, countFree, setBits, usedRuns } from '../bitmap.ts';
import {
  type BlockRun,
  type GroupDescriptor,
  checkBitmapChecksum,
  descriptorBlock,
  groupBlockCount,
  groupClusterCount,
  groupFirstBlock,
  groupOfBlock,
  metadataRuns,
  parseGroupDescriptor,
} from './groups.ts';
import { type ExtSuperblock, parseExtSuperblock } from './superblock.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * Which blocks of an ext2, ext3 or ext4 file system are in use. A block counts as in use unless it is certainly free. Without
 * metadata_csum a bitmap has no checksum, only a count of its free bits: damage that keeps the count goes unnoticed (e2fsck finds
 * it by walking all inodes).
 */

/** Groups kept in memory: the metadata of a group lie in it or, with flex_bg, in another. */
const CACHED_GROUPS = 4;

interface Group {
  descriptor: GroupDescriptor;
  bitmap: Uint8Array;
  /** Nothing in it is in use: most groups of a large file system with few files. */
  isEmpty: boolean;
}

/** Reads groups one at a time, and checks each as far as it can be checked alone. */
class GroupReader {
  readonly #read: ReadAt;
  readonly #superblock: ExtSuperblock;
  readonly #groups = new Map<number, Group>();
  readonly #emptyBitmap: Uint8Array;
  #descriptorBlockIndex = -1;
  #descriptorBlock: Uint8Array = new Uint8Array();

  constructor(read: ReadAt, superblock: ExtSuperblock) {
    this.#read = read;
    this.#superblock = superblock;
    this.#emptyBitmap = new Uint8Array(superblock.clustersPerGroup / 8);
  }

  /** Throws Doubt. */
  group(index: number): Group {
    const cached = this.#groups.get(index);
    if (cached === undefined) return this.#keep(index, this.#readGroup(index));
    // It moves to the end of the cache: a group that holds the metadata of many others is read again and again.
    this.#groups.delete(index);
    return this.#keep(index, cached);
  }

  #keep(index: number, group: Group): Group {
    const [oldest] = this.#groups.keys();
    if (this.#groups.size >= CACHED_GROUPS && oldest !== undefined) this.#groups.delete(oldest);
    this.#groups.set(index, group);
    return group;
  }

  #readGroup(index: number): Group {
    const descriptor = this.#descriptor(index);
    const { bitmapUninitialised: isUnused, freeClusterCount } = descriptor;
    const clusters = groupClusterCount(this.#superblock, index);
    const isEmpty = isUnused && !hasMetadataOfItsOwn(this.#superblock, index, descriptor);
    const bitmap = isEmpty
      ? this.#emptyBitmap
      : isUnused
        ? bitmapOfUnused(this.#superblock, index, descriptor)
        : this.#bitmap(index, descriptor);
    if ((isEmpty ? clusters : countFree(bitmap, clusters)) !== freeClusterCount)
      throw new Doubt(`the bitmap of block group ${index} and its count of free blocks disagree`);
    return { descriptor, bitmap, isEmpty };
  }

  #descriptor(group: number): GroupDescriptor {
    const { blockSizeBytes, descriptorSizeBytes, blockCount } = this.#superblock;
    const position = group * descriptorSizeBytes;
    const blockIndex = Math.floor(position / blockSizeBytes);
    if (blockIndex !== this.#descriptorBlockIndex) {
      const block = descriptorBlock(this.#superblock, blockIndex);
      if (block >= blockCount) throw new Doubt('its group descriptors reach beyond its end');
      this.#descriptorBlock = this.#read(block * blockSizeBytes, blockSizeBytes);
      this.#descriptorBlockIndex = blockIndex;
    }
    const from = position % blockSizeBytes;
    const bytes = this.#descriptorBlock.subarray(from, from + descriptorSizeBytes);
    return parseGroupDescriptor(this.#superblock, group, bytes);
  }

  #bitmap(group: number, descriptor: GroupDescriptor): Uint8Array {
    const { blockSizeBytes } = this.#superblock;
    const bitmap = this.#read(descriptor.blockBitmap * blockSizeBytes, blockSizeBytes);
    checkBitmapChecksum(this.#superblock, group, descriptor, bitmap);
    return bitmap;
  }
}

/** Calls `visit` for each group that has blocks of the run, with the run's bits in that group. */
function forEachPart(
  superblock: ExtSuperblock,
  run: BlockRun,
  visit: (group: number, fromBit: number, endBit: number) => void,
): void {
  const end = run.first + run.count;
  for (let block = run.first; block < end;) {
    const group = groupOfBlock(superblock, block);
    const start = groupFirstBlock(superblock, group);
    const partEnd = Math.min(end, start + superblock.blocksPerGroup);
    const ratio = 2 ** superblock.clusterBits;
    visit(group, Math.floor((block - start) / ratio), Math.ceil((partEnd - start) / ratio));
    block = partEnd;
  }
}

/** Whether the group itself holds any of its metadata. */
function hasMetadataOfItsOwn(superblock: ExtSuperblock, group: number, descriptor: GroupDescriptor): boolean {
  const first = groupFirstBlock(superblock, group);
  const end = first + superblock.blocksPerGroup;
  return metadataRuns(superblock, group, descriptor).some(
    (run) => run.first < end && run.first + run.count > first,
  );
}

/** The bitmap of a group whose bitmap was never written: only the group's own metadata in it are in use. */
function bitmapOfUnused(superblock: ExtSuperblock, group: number, descriptor: GroupDescriptor): Uint8Array {
  const bitmap = new Uint8Array(superblock.clustersPerGroup / 8);
  for (const run of metadataRuns(superblock, group, descriptor)) {
    forEachPart(superblock, run, (partGroup, from, end) => {
      if (partGroup === group) setBits(bitmap, from, end);
    });
  }
  return bitmap;
}

function checkMetadataInUse(superblock: ExtSuperblock, reader: GroupReader, group: number): void {
  const { descriptor } = reader.group(group);
  for (const run of metadataRuns(superblock, group, descriptor)) {
    forEachPart(superblock, run, (partGroup, from, end) => {
      if (!allSet(reader.group(partGroup).bitmap, from, end))
        throw new Doubt(`the metadata of block group ${group} are marked as free`);
    });
  }
}

function readSuperblock(read: ReadAt, regionBytes: number): ExtSuperblock {
  if (regionBytes < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) throw new Doubt('it is too small');
  return parseExtSuperblock(read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES), regionBytes);
}

/** The free bytes of the group: whole clusters, except that the end of the file system may cut the last one short. */
function freeBytesOfGroup(superblock: ExtSuperblock, group: number, { bitmap, descriptor }: Group): number {
  const { blockSizeBytes, clusterBits } = superblock;
  const ratio = 2 ** clusterBits;
  const clusters = groupClusterCount(superblock, group);
  const cut = clusters * ratio - groupBlockCount(superblock, group);
  const cutIsFree = cut > 0 && !allSet(bitmap, clusters - 1, clusters);
  return (descriptor.freeClusterCount * ratio - (cutIsFree ? cut : 0)) * blockSizeBytes;
}

/** Reads all block bitmaps, and decides whether they can be trusted. Memory does not grow with the file system. */
export function checkExtUsage(read: ReadAt, regionBytes: number): FileSystemUsage {
  return checkedUsage(() => countUsedBytes(read, regionBytes));
}

/** Throws Doubt. */
function countUsedBytes(read: ReadAt, regionBytes: number): number {
  const superblock = readSuperblock(read, regionBytes);
  const reader = new GroupReader(read, superblock);
  let freeClusters = 0;
  let freeBytes = 0;
  let previousBitmap = -1;
  for (let index = 0; index < superblock.groupCount; index++) {
    const group = reader.group(index);
    // Without checksums, two groups that share a bitmap would go unnoticed.
    if (superblock.checksums === 'none' && group.descriptor.blockBitmap <= previousBitmap)
      throw new Doubt('its block bitmaps are not in ascending order, and it has no checksums');
    previousBitmap = group.descriptor.blockBitmap;
    freeClusters += group.descriptor.freeClusterCount;
    freeBytes += freeBytesOfGroup(superblock, index, group);
    checkMetadataInUse(superblock, reader, index);
  }
  if (freeClusters !== superblock.freeClusterCount)
    throw new Doubt('its total of free blocks and those of its block groups disagree');
  return superblock.blockCount * superblock.blockSizeBytes - freeBytes;
}

/**
 * See `FileSystem.usedExtents`. Memory does not grow with the file system. A group that meanwhile fails its checks
 * counts as used.
 */
export function extUsedExtents(read: ReadAt, regionBytes: number): Generator<Extent> {
  return mergeTouching(usedPieces(read, regionBytes));
}

function* usedPieces(read: ReadAt, regionBytes: number): Generator<Extent> {
  const superblock = orDoubt(() => readSuperblock(read, regionBytes));
  if (superblock === null) {
    yield { offset: 0, length: regionBytes };
    return;
  }
  const { blockSizeBytes, clusterBits, firstDataBlock, blockCount } = superblock;
  const reader = new GroupReader(read, superblock);
  const ratio = 2 ** clusterBits;
  yield { offset: 0, length: firstDataBlock * blockSizeBytes };
  for (let index = 0; index < superblock.groupCount; index++) {
    const start = groupFirstBlock(superblock, index);
    const blocks = groupBlockCount(superblock, index);
    const group = orDoubt(() => reader.group(index));
    if (group === null) {
      yield { offset: start * blockSizeBytes, length: blocks * blockSizeBytes };
      continue;
    }
    if (group.isEmpty) continue;
    for (const [first, end] of usedRuns(group.bitmap, groupClusterCount(superblock, index))) {
      const endBlock = Math.min(end * ratio, blocks);
      yield {
        offset: (start + first * ratio) * blockSizeBytes,
        length: (endBlock - first * ratio) * blockSizeBytes,
      };
    }
  }
  const end = blockCount * blockSizeBytes;
  yield { offset: end, length: regionBytes - end };
}

import { crc16, crc32c } from '../../../codec/crc.ts';
import { Doubt } from '../doubt.ts';
import type { ExtSuperblock } from './superblock.ts';

/*
 * Block groups of ext2/3/4: which blocks belong to each, and where their metadata lie. Source: Linux,
 * Documentation/filesystems/ext4/{blockgroup,group_descr,bigalloc}.rst, fs/ext4/{balloc,super}.c; and the
 * meta_bg rules of e2fsprogs, lib/ext2fs/{closefs,alloc_sb}.c.
 */

/** A run of blocks of the file system. */
export interface BlockRun {
  first: number;
  count: number;
}

/** Flag of a descriptor: the block bitmap was never written. Valid only where descriptors have checksums. */
const BLOCK_UNINIT = 2;
const CHECKSUM_OFFSET = 0x1e;
const BITMAP_CHECKSUM_HIGH_OFFSET = 0x38;

export interface GroupDescriptor {
  blockBitmap: number;
  inodeBitmap: number;
  inodeTable: number;
  freeClusterCount: number;
  /** The bitmap was never written: only the group's own metadata are in use. */
  bitmapUninitialised: boolean;
  /** The low 16 bits of the checksum, or all 32 when `bitmapChecksumBits` is 32. */
  bitmapChecksum: number;
  bitmapChecksumBits: 16 | 32;
}

export function groupFirstBlock(superblock: ExtSuperblock, group: number): number {
  return superblock.firstDataBlock + group * superblock.blocksPerGroup;
}

/** The number of blocks in the group; the last group may have fewer. */
export function groupBlockCount(superblock: ExtSuperblock, group: number): number {
  return Math.min(superblock.blocksPerGroup, superblock.blockCount - groupFirstBlock(superblock, group));
}

/** The number of bits in use in the group's bitmap. The last cluster of the file system may have fewer blocks. */
export function groupClusterCount(superblock: ExtSuperblock, group: number): number {
  return Math.ceil(groupBlockCount(superblock, group) / 2 ** superblock.clusterBits);
}

export function groupOfBlock(superblock: ExtSuperblock, block: number): number {
  return Math.floor((block - superblock.firstDataBlock) / superblock.blocksPerGroup);
}

function isPowerOf(base: number, value: number): boolean {
  let power = 1;
  while (power < value) power *= base;
  return power === value;
}

function hasSuperblock(superblock: ExtSuperblock, group: number): boolean {
  if (group === 0) return true;
  const { backups } = superblock;
  if (backups === 'all-groups') return true;
  if (backups !== 'sparse') return backups.includes(group);
  return group % 2 === 1 && [3, 5, 7].some((base) => isPowerOf(base, group));
}

/** With clusters of 1 KiB blocks the data start at block 0, though the first superblock is in block 1. */
function startsAtBlockZero(superblock: ExtSuperblock): boolean {
  return superblock.blockSizeBytes === 1024 && superblock.firstDataBlock === 0;
}

function descriptorsPerBlock(superblock: ExtSuperblock): number {
  return superblock.blockSizeBytes / superblock.descriptorSizeBytes;
}

/** Where the `index`-th block of group descriptors lies. */
export function descriptorBlock(superblock: ExtSuperblock, index: number): number {
  const { firstMetaBg, firstDataBlock } = superblock;
  const adjustment = startsAtBlockZero(superblock) ? 1 : 0;
  if (firstMetaBg === null || index < firstMetaBg) return firstDataBlock + adjustment + 1 + index;
  const group = index * descriptorsPerBlock(superblock);
  return (
    groupFirstBlock(superblock, group) +
    (hasSuperblock(superblock, group) ? 1 : 0) +
    (group === 0 ? adjustment : 0)
  );
}

/** The copies of the superblock and of the group descriptors in the group, with the blocks reserved for growth. */
export function backupRuns(superblock: ExtSuperblock, group: number): BlockRun[] {
  const backup = hasSuperblock(superblock, group);
  const { firstMetaBg } = superblock;
  const start = groupFirstBlock(superblock, group);
  const runs: BlockRun[] = [];
  // With clusters of 1 KiB blocks the first cluster holds the boot block, which is in use.
  const skipped = group === 0 && startsAtBlockZero(superblock) ? 1 : 0;
  if (backup) runs.push({ first: start, count: skipped + 1 });
  const perBlock = descriptorsPerBlock(superblock);
  const tableCount = firstMetaBg ?? superblock.descriptorBlockCount + superblock.reservedGdtBlocks;
  if (firstMetaBg === null || group < firstMetaBg * perBlock) {
    if (backup && tableCount > 0) runs.push({ first: start + skipped + 1, count: tableCount });
  } else if ([0, 1, perBlock - 1].includes(group % perBlock)) {
    runs.push({ first: start + skipped + (backup ? 1 : 0), count: 1 });
  }
  return runs;
}

/** All blocks with metadata of the group, which may lie in other groups. */
export function metadataRuns(
  superblock: ExtSuperblock,
  group: number,
  descriptor: GroupDescriptor,
): BlockRun[] {
  return [
    ...backupRuns(superblock, group),
    { first: descriptor.blockBitmap, count: 1 },
    { first: descriptor.inodeBitmap, count: 1 },
    { first: descriptor.inodeTable, count: superblock.inodeTableBlocks },
  ];
}

/** Reads and checks a group's descriptor, given its bytes. Throws Doubt. */
export function parseGroupDescriptor(
  superblock: ExtSuperblock,
  group: number,
  bytes: Uint8Array,
): GroupDescriptor {
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkDescriptorChecksum(superblock, group, bytes, fields.getUint16(CHECKSUM_OFFSET, true));
  const wide = superblock.descriptorSizeBytes >= 64;
  const block = (low: number, high: number): number =>
    fields.getUint32(low, true) + (wide ? fields.getUint32(high, true) * 2 ** 32 : 0);
  const short = (low: number, high: number): number =>
    fields.getUint16(low, true) + (wide ? fields.getUint16(high, true) * 2 ** 16 : 0);
  const uninitialised = (fields.getUint16(0x12, true) & BLOCK_UNINIT) !== 0;
  if (uninitialised && superblock.checksums === 'none')
    throw new Doubt(`block group ${group} has a flag that needs checksums, and the file system has none`);
  const descriptor: GroupDescriptor = {
    blockBitmap: block(0x0, 0x20),
    inodeBitmap: block(0x4, 0x24),
    inodeTable: block(0x8, 0x28),
    freeClusterCount: short(0xc, 0x2c),
    bitmapUninitialised: uninitialised,
    bitmapChecksum: short(0x18, BITMAP_CHECKSUM_HIGH_OFFSET),
    bitmapChecksumBits: wide ? 32 : 16,
  };
  checkPlaces(superblock, group, descriptor);
  return descriptor;
}

function checkDescriptorChecksum(
  superblock: ExtSuperblock,
  group: number,
  bytes: Uint8Array,
  stored: number,
): void {
  if (superblock.checksums === 'none') return;
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, group, true);
  const before = bytes.subarray(0, CHECKSUM_OFFSET);
  const after = bytes.subarray(CHECKSUM_OFFSET + 2);
  // CRC-16 leaves out the two bytes of the checksum itself, CRC-32C takes them as zero.
  const parts =
    superblock.checksums === 'crc16'
      ? [superblock.uuidBytes, number, before, after]
      : [number, before, new Uint8Array(2), after];
  const computed =
    superblock.checksums === 'crc16'
      ? parts.reduce(crc16, 0xffff)
      : parts.reduce(crc32c, superblock.checksumSeed) & 0xffff;
  if (computed !== stored) throw new Doubt(`the checksum of block group ${group}'s descriptor is wrong`);
}

/** Throws Doubt unless bitmaps and inode table lie in the file system and, without flex_bg, in their own group. */
function checkPlaces(superblock: ExtSuperblock, group: number, descriptor: GroupDescriptor): void {
  const { flexBg } = superblock;
  const from = flexBg ? superblock.firstDataBlock : groupFirstBlock(superblock, group);
  const end = flexBg ? superblock.blockCount : from + groupBlockCount(superblock, group);
  const inside = metadataRuns(superblock, group, descriptor).every(
    ({ first, count }) => first >= from && first + count <= end,
  );
  if (!inside) throw new Doubt(`the metadata of block group ${group} lie outside of it`);
}

/** Throws Doubt when the bitmap does not match its checksum. */
export function checkBitmapChecksum(
  superblock: ExtSuperblock,
  group: number,
  descriptor: GroupDescriptor,
  bitmap: Uint8Array,
): void {
  if (superblock.checksums !== 'crc32c') return;
  const computed = crc32c(superblock.checksumSeed, bitmap.subarray(0, superblock.clustersPerGroup / 8));
  const expected = descriptor.bitmapChecksumBits === 32 ? computed : computed & 0xffff;
  if (expected !== descriptor.bitmapChecksum)
    throw new Doubt(`the checksum of block group ${group}'s bitmap is wrong`);
}

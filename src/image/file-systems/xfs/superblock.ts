import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import { hasChecksum } from './checksum.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The superblock of XFS, versions 4 and 5. All numbers are big-endian. Source: Linux, fs/xfs/libxfs/xfs_format.h (struct
 * xfs_dsb, XFS_SB_*), fs/xfs/libxfs/xfs_sb.c; "XFS Algorithms & Data Structures", chapter "Allocation Groups".
 */

export interface XfsSuperblock {
  /** Version 5: all metadata have checksums, and say where they belong. */
  hasChecksums: boolean;
  /** The total of free blocks includes those of the trees of free space. */
  countsTreeBlocks: boolean;
  blockBytes: number;
  sectorBytes: number;
  blockCount: number;
  /** Blocks of each allocation group; the last may have fewer. */
  groupBlocks: number;
  groupCount: number;
  /** A block's number has the number of its group above these bits. */
  groupBits: number;
  freeBlocks: number;
  /** The log inside of the file system: its first block's number, and its length in blocks. */
  logStart: bigint;
  logBlocks: number;
  uuid: Uint8Array;
  /** The UUID in all other metadata: another one, if the file system's was changed. */
  metadataUuid: Uint8Array;
}

const SUPERBLOCK_BYTES = 512;
/** Block sizes 512 bytes to 64 KiB, sectors 512 bytes to 32 KiB. */
const blockSizes = { least: 9, most: 16 };
const sectorSizes = { least: 9, most: 15 };
/** XFS_MIN_AG_BLOCKS. */
const LEAST_GROUP_BLOCKS = 64;

const version = { extended: 0x8000, sharedUnknown: 0x4200, logV2: 0x400 };
const features2 = { lazyCount: 0x2, known: 0x2 | 0x8 | 0x80 | 0x100 | 0x200 };
/** Free inode tree, reverse mappings, reflinks, counts of inode tree blocks: all in blocks that are in use. */
const KNOWN_RO_COMPAT = 0x1 | 0x2 | 0x4 | 0x8;
const incompat = {
  metaUuid: 0x4,
  needsRepair: 0x10,
  // File types, sparse inodes, other UUID, bigtime, 64-bit counts of extents, exchange of ranges, parent pointers.
  known: 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80,
};
/** Extended attributes in the log. */
const KNOWN_LOG_INCOMPAT = 0x1;

/** Throws Doubt. */
export function readSuperblock(read: ReadAt, regionBytes: number): XfsSuperblock {
  if (regionBytes < SUPERBLOCK_BYTES) throw new Doubt('it is too small');
  const head = read(0, SUPERBLOCK_BYTES);
  const fields = viewOf(head);
  const sectorBytes = sizeOf(fields.getUint16(102), fields.getUint8(121), sectorSizes);
  const blockBytes = sizeOf(fields.getUint32(4), fields.getUint8(120), blockSizes);
  if (sectorBytes > blockBytes) throw new Doubt('its sectors are larger than its blocks');
  const { hasChecksums, countsTreeBlocks, hasMetaUuid } = readFeatures(fields);
  if (hasChecksums && !hasChecksum(read(0, sectorBytes), 224))
    throw new Doubt("its superblock's checksum is wrong");
  if (fields.getUint8(126) !== 0) throw new Doubt('mkfs.xfs or xfs_growfs has not finished it');
  if (fields.getBigUint64(16) !== 0n) throw new Doubt('it has a realtime section');
  const logStart = fields.getBigUint64(48);
  if (logStart === 0n) throw new Doubt('its log is on another device');
  const uuid = head.slice(32, 48);
  return {
    hasChecksums,
    countsTreeBlocks,
    blockBytes,
    sectorBytes,
    ...readGroups(fields, blockBytes, regionBytes),
    freeBlocks: safeNumber(fields.getBigUint64(144)),
    logStart,
    logBlocks: fields.getUint32(96),
    uuid,
    metadataUuid: hasMetaUuid ? head.slice(248, 264) : uuid,
  };
}

/** A size is there twice, as a number and as its logarithm. */
function sizeOf(bytes: number, log: number, { least, most }: { least: number; most: number }): number {
  if (log < least || log > most || bytes !== 2 ** log) throw new Doubt('its block size is not valid');
  return bytes;
}

function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Doubt('one of its counts is not plausible');
  return Number(value);
}

function readFeatures(fields: DataView): {
  hasChecksums: boolean;
  countsTreeBlocks: boolean;
  hasMetaUuid: boolean;
} {
  const bits = fields.getUint16(100);
  const number = bits & 0xf;
  if (number !== 4 && number !== 5) throw new Doubt(`its version ${number} is not known`);
  const more = (bits & version.extended) === 0 ? 0 : fields.getUint32(200);
  // Old kernels wrote the field to another place as well.
  if ((bits & version.extended) !== 0 && fields.getUint32(204) !== more)
    throw new Doubt('it states its features twice, and differently');
  const isUnknown4 = (bits & version.sharedUnknown) !== 0 || (more & ~features2.known) !== 0;
  if (number === 4) {
    if (isUnknown4 || (more & 0x100) !== 0) throw new Doubt('it has features that vmferry does not know');
    return {
      hasChecksums: false,
      countsTreeBlocks: (more & features2.lazyCount) !== 0,
      hasMetaUuid: false,
    };
  }
  const incompatible = fields.getUint32(216);
  if ((incompatible & incompat.needsRepair) !== 0) throw new Doubt('it must be repaired first (xfs_repair)');
  const isUnknown5 =
    fields.getUint32(208) !== 0 ||
    (fields.getUint32(212) & ~KNOWN_RO_COMPAT) !== 0 ||
    (incompatible & ~incompat.known) !== 0 ||
    (fields.getUint32(220) & ~KNOWN_LOG_INCOMPAT) !== 0;
  if (isUnknown4 || isUnknown5) throw new Doubt('it has features that vmferry does not know');
  return {
    hasChecksums: true,
    countsTreeBlocks: true,
    hasMetaUuid: (incompatible & incompat.metaUuid) !== 0,
  };
}

function readGroups(
  fields: DataView,
  blockBytes: number,
  regionBytes: number,
): Pick<XfsSuperblock, 'blockCount' | 'groupBlocks' | 'groupCount' | 'groupBits'> {
  const blockCount = safeNumber(fields.getBigUint64(8));
  const groupBlocks = fields.getUint32(84);
  const groupCount = fields.getUint32(88);
  const groupBits = fields.getUint8(124);
  const isValid =
    groupBlocks >= LEAST_GROUP_BLOCKS &&
    2 ** groupBits >= groupBlocks &&
    2 ** groupBits < 2 * groupBlocks &&
    groupCount === Math.ceil(blockCount / groupBlocks);
  if (!isValid) throw new Doubt('the size of its allocation groups is not valid');
  if (blockCount > regionBytes / blockBytes) throw new Doubt('it is larger than its partition or disk');
  return { blockCount, groupBlocks, groupCount, groupBits };
}

/** The number of blocks in the group. */
export function groupBlockCount({ blockCount, groupBlocks }: XfsSuperblock, group: number): number {
  return Math.min(groupBlocks, blockCount - group * groupBlocks);
}

/** Where the log is: its group, its first block in it, and its first byte. Throws Doubt. */
export function logPlace(superblock: XfsSuperblock): { group: number; block: number; offset: number } {
  const { logStart, logBlocks, groupBits, groupBlocks, groupCount, blockBytes } = superblock;
  const group = Number(logStart >> BigInt(groupBits));
  const block = Number(logStart & ((1n << BigInt(groupBits)) - 1n));
  const isInside =
    group < groupCount && logBlocks > 0 && block + logBlocks <= groupBlockCount(superblock, group);
  if (!isInside) throw new Doubt('its log reaches beyond its allocation group');
  return { group, block, offset: (group * groupBlocks + block) * blockBytes };
}

/** Whether metadata have the UUID of this file system at `at`. */
export function hasUuid(metadata: Uint8Array, at: number, uuid: Uint8Array): boolean {
  return uuid.every((byte, index) => metadata[at + index] === byte);
}

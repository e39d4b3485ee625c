import { crc32c } from './crc.ts';
import { cleanText, formatUuid } from './identity-text.ts';

/*
 * The superblock of ext2, ext3 and ext4. Field offsets: Linux, Documentation/filesystems/ext4/super.rst and
 * fs/ext4/ext4.h (struct ext4_super_block). All numbers are little-endian.
 */

/** Why the free blocks of a file system must not be skipped; never leaves the ext parser. */
export class Doubt extends Error {}

/** Reads bytes of the file system, counted from its start. What it gives back belongs to the caller. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_BYTES = 1024;
const MAGIC = 0xef53;

const compat = { hasJournal: 0x4, sparseSuper2: 0x200 } as const;
const incompat = {
  recover: 0x4,
  journalDevice: 0x8,
  metaBg: 0x10,
  has64bit: 0x80,
  flexBg: 0x200,
  checksumSeed: 0x2000,
} as const;
const roCompat = {
  sparseSuper: 0x1,
  gdtChecksum: 0x10,
  bigalloc: 0x200,
  metadataChecksum: 0x400,
  orphanPresent: 0x10000,
} as const;

/**
 * Features whose presence changes nothing about which blocks are in use, or that this parser knows. Left out, for
 * example: compression, lazy_bg, exclude_bitmap, has_snapshot, replica, shared_blocks.
 */
const knownCompat = 0x4 | 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x200 | 0x400 | 0x800 | 0x1000;
const knownIncompat =
  0x2 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;
const knownRoCompat =
  0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000;

/** The features of ext3; anything beyond makes it an ext4. */
const ext3Incompat = 0x2 | 0x4 | 0x10;
const ext3RoCompat = 0x1 | 0x2 | 0x4;

const STATE_VALID = 1;
const STATE_ERRORS = 2;

export interface ExtIdentity {
  kind: 'ext2' | 'ext3' | 'ext4';
  label: string;
  uuid: string;
  /** Unmounted in order, no recorded errors, and no journal to be replayed. */
  clean: boolean;
  /** Why it is not clean. */
  dirtyReason: string | null;
}

/** The geometry that says which bitmap covers which block. Counts are in blocks unless they say clusters. */
export interface ExtSuperblock {
  blockSizeBytes: number;
  blockCount: number;
  /** As counted by the file system itself, in clusters. */
  freeClusterCount: number;
  firstDataBlock: number;
  blocksPerGroup: number;
  clustersPerGroup: number;
  /** log2 of the blocks in a cluster: what one bit of a bitmap stands for. 0 except with bigalloc. */
  clusterBits: number;
  groupCount: number;
  inodeTableBlocks: number;
  descriptorSizeBytes: number;
  descriptorBlockCount: number;
  /** Descriptor blocks from this one on lie in their own meta block groups; null without meta_bg. */
  firstMetaBg: number | null;
  reservedGdtBlocks: number;
  /** Which groups hold copies of the superblock. */
  backups: 'all-groups' | 'sparse' | readonly [number, number];
  flexBg: boolean;
  checksums: 'none' | 'crc16' | 'crc32c';
  /** Where CRC-32C checksums start (crc32c), or the bytes that CRC-16 ones start with (crc16). */
  checksumSeed: number;
  uuidBytes: Uint8Array;
}

function view(superblock: Uint8Array): DataView {
  return new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
}

/** Whether these 1024 bytes say that they are a superblock; nothing else is looked at. */
export function hasExtMagic(superblock: Uint8Array): boolean {
  return superblock.length >= SUPERBLOCK_BYTES && view(superblock).getUint16(0x38, true) === MAGIC;
}

/** Name, kind and state, from a superblock that has the magic; makes sense only where the rest does. */
export function readExtIdentity(superblock: Uint8Array): ExtIdentity {
  const fields = view(superblock);
  const incompatible = fields.getUint32(0x60, true);
  const readOnly = fields.getUint32(0x64, true);
  const isExt4 = (incompatible & ~ext3Incompat) !== 0 || (readOnly & ~ext3RoCompat) !== 0;
  const isExt3 = (fields.getUint32(0x5c, true) & compat.hasJournal) !== 0;
  const dirtyReason = whyNotClean(fields);
  return {
    kind: isExt4 ? 'ext4' : isExt3 ? 'ext3' : 'ext2',
    label: cleanText(superblock.subarray(0x78, 0x88)),
    uuid: formatUuid(superblock.subarray(0x68, 0x78)),
    clean: dirtyReason === null,
    dirtyReason,
  };
}

function whyNotClean(fields: DataView): string | null {
  const state = fields.getUint16(0x3a, true);
  if ((fields.getUint32(0x60, true) & incompat.recover) !== 0) return 'its journal must be replayed first';
  if ((state & STATE_ERRORS) !== 0 || fields.getUint32(0x194, true) !== 0)
    return 'it has recorded errors (e2fsck repairs them)';
  if ((state & STATE_VALID) === 0) return 'it was not unmounted in order';
  if ((fields.getUint32(0x64, true) & roCompat.orphanPresent) !== 0)
    return 'it has deleted files that are yet to be cleaned up';
  return null;
}

/**
 * Reads the geometry and checks everything about it that can be checked without another read. `regionBytes` is the
 * room that the file system lies in. Throws Doubt.
 */
export function parseExtSuperblock(superblock: Uint8Array, regionBytes: number): ExtSuperblock {
  if (!hasExtMagic(superblock)) throw new Doubt('it has no superblock');
  const fields = view(superblock);
  const { dirtyReason } = readExtIdentity(superblock);
  if (dirtyReason !== null) throw new Doubt(dirtyReason);
  const features = readFeatures(fields);
  const checksums = readChecksums(superblock, fields, features);
  const blocks = readBlockGeometry(fields, features, regionBytes);
  const inodeTableBlocks = readInodeTableBlocks(fields, blocks);
  const descriptors = readDescriptorGeometry(fields, features, blocks);
  return {
    ...blocks,
    ...checksums,
    ...descriptors,
    inodeTableBlocks,
    flexBg: (features.incompat & incompat.flexBg) !== 0,
    uuidBytes: superblock.slice(0x68, 0x78),
  };
}

interface Features {
  compat: number;
  incompat: number;
  roCompat: number;
}

function readFeatures(fields: DataView): Features {
  const features = {
    compat: fields.getUint32(0x5c, true),
    incompat: fields.getUint32(0x60, true),
    roCompat: fields.getUint32(0x64, true),
  };
  const revision = fields.getUint32(0x4c, true);
  if (revision > 1) throw new Doubt(`its revision ${revision} is not known`);
  if (revision === 0 && (features.compat | features.incompat | features.roCompat) !== 0)
    throw new Doubt('it is of revision 0 and yet has features');
  if ((features.incompat & incompat.journalDevice) !== 0) throw new Doubt('it is the journal of another');
  const unknown =
    (features.compat & ~knownCompat) |
    (features.incompat & ~knownIncompat) |
    (features.roCompat & ~knownRoCompat);
  if (unknown !== 0) throw new Doubt('it has features that vmferry does not know');
  return features;
}

function readChecksums(
  superblock: Uint8Array,
  fields: DataView,
  features: Features,
): Pick<ExtSuperblock, 'checksums' | 'checksumSeed'> {
  if ((features.roCompat & roCompat.metadataChecksum) === 0)
    return {
      checksums: (features.roCompat & roCompat.gdtChecksum) === 0 ? 'none' : 'crc16',
      checksumSeed: 0,
    };
  if (superblock[0x175] !== 1) throw new Doubt('its kind of checksums is not known');
  if (crc32c(0xffffffff, superblock.subarray(0, 0x3fc)) !== fields.getUint32(0x3fc, true))
    throw new Doubt("its superblock's checksum is wrong");
  const seeded = (features.incompat & incompat.checksumSeed) !== 0;
  const seed = seeded ? fields.getUint32(0x270, true) : crc32c(0xffffffff, superblock.subarray(0x68, 0x78));
  return { checksums: 'crc32c', checksumSeed: seed };
}

type BlockGeometry = Pick<
  ExtSuperblock,
  | 'blockSizeBytes'
  | 'blockCount'
  | 'freeClusterCount'
  | 'firstDataBlock'
  | 'blocksPerGroup'
  | 'clustersPerGroup'
  | 'clusterBits'
  | 'groupCount'
>;

function readBlockGeometry(fields: DataView, features: Features, regionBytes: number): BlockGeometry {
  const logBlock = fields.getUint32(0x18, true);
  const logCluster = fields.getUint32(0x1c, true);
  const bigalloc = (features.roCompat & roCompat.bigalloc) !== 0;
  // 64 KiB blocks are the largest; clusters go up to 1 GiB (EXT4_MAX_CLUSTER_LOG_SIZE)
  if (logBlock > 6 || logCluster > 20 || logCluster < logBlock || (!bigalloc && logCluster !== logBlock))
    throw new Doubt('its block size makes no sense');
  const blockSizeBytes = 1024 * 2 ** logBlock;
  const clusterBits = logCluster - logBlock;

  const blocksPerGroup = fields.getUint32(0x20, true);
  const clustersPerGroup = bigalloc ? fields.getUint32(0x24, true) : blocksPerGroup;
  const groupMakesSense =
    clustersPerGroup >= 256 &&
    clustersPerGroup % 8 === 0 &&
    clustersPerGroup <= 8 * blockSizeBytes &&
    blocksPerGroup === clustersPerGroup * 2 ** clusterBits;
  if (!groupMakesSense) throw new Doubt('the size of its block groups makes no sense');

  const firstDataBlock = fields.getUint32(0x14, true);
  const smallBlocks = blockSizeBytes === 1024;
  if (firstDataBlock > (smallBlocks ? 1 : 0) || (smallBlocks && clusterBits === 0 && firstDataBlock === 0))
    throw new Doubt('its first data block makes no sense');

  const wide = (features.incompat & incompat.has64bit) !== 0;
  const count = (low: number, high: number): number =>
    fields.getUint32(low, true) + (wide ? fields.getUint32(high, true) * 2 ** 32 : 0);
  const blockCount = count(0x4, 0x150);
  if (blockCount <= firstDataBlock) throw new Doubt('it has no blocks');
  if (blockCount > regionBytes / blockSizeBytes) throw new Doubt('it is larger than the room it lies in');
  return {
    blockSizeBytes,
    blockCount,
    freeClusterCount: count(0xc, 0x158) / 2 ** clusterBits,
    firstDataBlock,
    blocksPerGroup,
    clustersPerGroup,
    clusterBits,
    groupCount: Math.ceil((blockCount - firstDataBlock) / blocksPerGroup),
  };
}

function readInodeTableBlocks(fields: DataView, blocks: BlockGeometry): number {
  const inodeSize = fields.getUint32(0x4c, true) === 0 ? 128 : fields.getUint16(0x58, true);
  const inodesPerGroup = fields.getUint32(0x28, true);
  const sizeMakesSense =
    inodeSize >= 128 && inodeSize <= blocks.blockSizeBytes && (inodeSize & (inodeSize - 1)) === 0;
  const countMakesSense =
    inodesPerGroup > 0 &&
    inodesPerGroup <= 8 * blocks.blockSizeBytes &&
    inodesPerGroup * blocks.groupCount === fields.getUint32(0x0, true);
  if (!sizeMakesSense || !countMakesSense) throw new Doubt('its inode counts make no sense');
  return Math.ceil((inodesPerGroup * inodeSize) / blocks.blockSizeBytes);
}

function readDescriptorGeometry(
  fields: DataView,
  features: Features,
  blocks: BlockGeometry,
): Pick<
  ExtSuperblock,
  'descriptorSizeBytes' | 'descriptorBlockCount' | 'firstMetaBg' | 'reservedGdtBlocks' | 'backups'
> {
  const wide = (features.incompat & incompat.has64bit) !== 0;
  const size = wide ? fields.getUint16(0xfe, true) : 32;
  if (wide && (size < 64 || size > 1024 || (size & (size - 1)) !== 0))
    throw new Doubt('the size of its group descriptors makes no sense');
  const descriptorBlockCount = Math.ceil((blocks.groupCount * size) / blocks.blockSizeBytes);
  const metaBg = (features.incompat & incompat.metaBg) !== 0;
  const firstMetaBg = metaBg ? fields.getUint32(0x104, true) : null;
  if (firstMetaBg !== null && firstMetaBg > descriptorBlockCount)
    throw new Doubt('its first meta block group makes no sense');
  const sparse = (features.roCompat & roCompat.sparseSuper) !== 0;
  return {
    descriptorSizeBytes: size,
    descriptorBlockCount,
    firstMetaBg,
    reservedGdtBlocks: fields.getUint16(0xce, true),
    backups:
      (features.compat & compat.sparseSuper2) !== 0
        ? [fields.getUint32(0x24c, true), fields.getUint32(0x250, true)]
        : sparse
          ? 'sparse'
          : 'all-groups',
  };
}

import { crc32c } from '../../../codec/crc.ts';
import { Doubt } from '../doubt.ts';
import { type Features, compat, incompat, readFeatures, roCompat } from './features.ts';
import { hasExtMagic, readExtIdentity } from './identity.ts';

/*
 * The geometry in the superblock of ext2, ext3 and ext4. Field offsets: Linux,
 * Documentation/filesystems/ext4/super.rst and fs/ext4/ext4.h (struct ext4_super_block). All numbers are little-endian.
 */

/** Tells which bitmap covers a block. Counts are in blocks unless their name says clusters. */
export interface ExtSuperblock {
  blockSizeBytes: number;
  blockCount: number;
  /** The total number of free clusters by the file system's own count. */
  freeClusterCount: number;
  firstDataBlock: number;
  blocksPerGroup: number;
  clustersPerGroup: number;
  /** log2 of the blocks in a cluster. One bit of a bitmap stands for a cluster. 0 except with bigalloc. */
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
  /** The start value of CRC-32C checksums. */
  checksumSeed: number;
  uuidBytes: Uint8Array;
}

/** Reads the geometry, and checks all of it that can be checked without another read. Throws Doubt. */
export function parseExtSuperblock(superblock: Uint8Array, regionBytes: number): ExtSuperblock {
  if (!hasExtMagic(superblock)) throw new Doubt('it has no superblock');
  const fields = new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
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
  if (superblock[0x175] !== 1) throw new Doubt('its checksum type is not known');
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
  // Blocks have at most 64 KiB, clusters at most 1 GiB (EXT4_MAX_CLUSTER_LOG_SIZE).
  if (logBlock > 6 || logCluster > 20 || logCluster < logBlock || (!bigalloc && logCluster !== logBlock))
    throw new Doubt('its block size is not valid');
  const blockSizeBytes = 1024 * 2 ** logBlock;
  const clusterBits = logCluster - logBlock;

  const blocksPerGroup = fields.getUint32(0x20, true);
  const clustersPerGroup = bigalloc ? fields.getUint32(0x24, true) : blocksPerGroup;
  const isGroupValid =
    clustersPerGroup >= 256 &&
    clustersPerGroup % 8 === 0 &&
    clustersPerGroup <= 8 * blockSizeBytes &&
    blocksPerGroup === clustersPerGroup * 2 ** clusterBits;
  if (!isGroupValid) throw new Doubt('the size of its block groups is not valid');

  const firstDataBlock = fields.getUint32(0x14, true);
  const smallBlocks = blockSizeBytes === 1024;
  if (firstDataBlock > (smallBlocks ? 1 : 0) || (smallBlocks && clusterBits === 0 && firstDataBlock === 0))
    throw new Doubt('its first data block is not valid');

  const wide = (features.incompat & incompat.has64bit) !== 0;
  const count = (low: number, high: number): number =>
    fields.getUint32(low, true) + (wide ? fields.getUint32(high, true) * 2 ** 32 : 0);
  const blockCount = count(0x4, 0x150);
  if (blockCount <= firstDataBlock) throw new Doubt('it has no blocks');
  if (blockCount > regionBytes / blockSizeBytes) throw new Doubt('it is larger than its partition or disk');
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
  const isSizeValid =
    inodeSize >= 128 && inodeSize <= blocks.blockSizeBytes && (inodeSize & (inodeSize - 1)) === 0;
  const isCountValid =
    inodesPerGroup > 0 &&
    inodesPerGroup <= 8 * blocks.blockSizeBytes &&
    inodesPerGroup * blocks.groupCount === fields.getUint32(0x0, true);
  if (!isSizeValid || !isCountValid) throw new Doubt('its inode counts are not valid');
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
    throw new Doubt('the size of its group descriptors is not valid');
  const descriptorBlockCount = Math.ceil((blocks.groupCount * size) / blocks.blockSizeBytes);
  const metaBg = (features.incompat & incompat.metaBg) !== 0;
  const firstMetaBg = metaBg ? fields.getUint32(0x104, true) : null;
  if (firstMetaBg !== null && firstMetaBg > descriptorBlockCount)
    throw new Doubt('its first meta block group is not valid');
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

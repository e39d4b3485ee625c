import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import { hasChecksum } from './checksum.ts';
import { groupBlockCount, hasUuid, type XfsSuperblock } from './superblock.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The header of an allocation group's free space (AGF), and the list of blocks that its trees take first (AGFL). Source: Linux,
 * fs/xfs/libxfs/xfs_format.h (struct xfs_agf, struct xfs_agfl), fs/xfs/libxfs/xfs_alloc.c.
 */

/** The root of a B+tree: its block in the group, and the number of levels. */
export interface TreeRoot {
  block: number;
  levels: number;
}

export interface AllocationGroup {
  number: number;
  /** Its first byte in the file system. */
  offset: number;
  blockCount: number;
  /** Free space by block, and by length. */
  byBlock: TreeRoot;
  byLength: TreeRoot;
  freeBlocks: number;
  longestRun: number;
  /** Blocks of the trees without their roots. */
  treeBlocks: number;
  /** Blocks of the tree of reverse mappings, its root included; 0 without one. */
  reverseBlocks: number;
  /** Blocks that are certainly in use: headers, the list of spare blocks, and roots of other trees. */
  known: number[];
  spareBlocks: number;
}

/** XFS_BTREE_MAXLEVELS. */
const MOST_LEVELS = 9;
const LIST_HEADER_BYTES = 36;

/** Throws Doubt. */
export function readGroup(read: ReadAt, superblock: XfsSuperblock, number: number): AllocationGroup {
  const { sectorBytes, blockBytes, groupBlocks, hasChecksums } = superblock;
  const offset = number * groupBlocks * blockBytes;
  const blockCount = groupBlockCount(superblock, number);
  const header = read(offset + sectorBytes, sectorBytes);
  const fields = viewOf(header);
  const isHeader =
    fields.getUint32(0) === 0x58414746 && // XAGF
    fields.getUint32(4) === 1 &&
    fields.getUint32(8) === number &&
    fields.getUint32(12) === blockCount;
  if (!isHeader) throw new Doubt(`the header of allocation group ${number} is not valid`);
  if (hasChecksums && !(hasChecksum(header, 216) && hasUuid(header, 64, superblock.metadataUuid)))
    throw new Doubt(`the checksum of allocation group ${number} is wrong`);
  const root = (index: number): TreeRoot => {
    const [block, levels] = [fields.getUint32(16 + index * 4), fields.getUint32(28 + index * 4)];
    if (block >= blockCount || levels < 1 || levels > MOST_LEVELS)
      throw new Doubt(`the trees of allocation group ${number} are not valid`);
    return { block, levels };
  };
  const reverseBlocks = hasChecksums ? fields.getUint32(80) : 0;
  const spare = readSpareBlocks(read, superblock, { number, offset, blockCount }, fields);
  const headerBlocks = Math.ceil((4 * sectorBytes) / blockBytes);
  return {
    number,
    offset,
    blockCount,
    byBlock: root(0),
    byLength: root(1),
    freeBlocks: fields.getUint32(52),
    longestRun: fields.getUint32(56),
    treeBlocks: fields.getUint32(60),
    reverseBlocks,
    known: [
      ...Array.from({ length: headerBlocks }, (_, block) => block),
      ...(reverseBlocks > 0 ? [root(2).block] : []),
      ...spare,
    ],
    spareBlocks: spare.length,
  };
}

function readSpareBlocks(
  read: ReadAt,
  { sectorBytes, hasChecksums, metadataUuid }: XfsSuperblock,
  { number, offset, blockCount }: Pick<AllocationGroup, 'number' | 'offset' | 'blockCount'>,
  header: DataView,
): number[] {
  const list = read(offset + 3 * sectorBytes, sectorBytes);
  const fields = viewOf(list);
  const isList =
    !hasChecksums ||
    (fields.getUint32(0) === 0x5841464c && // XAFL
      fields.getUint32(4) === number &&
      hasUuid(list, 8, metadataUuid) &&
      hasChecksum(list, 32));
  if (!isList) throw new Doubt(`the list of spare blocks of allocation group ${number} is not valid`);
  const start = hasChecksums ? LIST_HEADER_BYTES : 0;
  const size = Math.floor((sectorBytes - start) / 4);
  const [first, last, count] = [header.getUint32(40), header.getUint32(44), header.getUint32(48)];
  const isValid =
    first < size &&
    last < size &&
    count <= size &&
    (count === 0 || (last - first + size) % size === count - 1);
  if (!isValid) throw new Doubt(`the list of spare blocks of allocation group ${number} is not valid`);
  const blocks = Array.from({ length: count }, (_, index) =>
    fields.getUint32(start + ((first + index) % size) * 4),
  );
  if (blocks.some((block) => block >= blockCount))
    throw new Doubt(`the list of spare blocks of allocation group ${number} is not valid`);
  return blocks;
}

import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import { hasChecksum } from './checksum.ts';
import type { AllocationGroup, TreeRoot } from './group.ts';
import { hasUuid, type XfsSuperblock } from './superblock.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The two B+trees of an allocation group's free space: the same runs, ordered by block and by length. Source: Linux,
 * fs/xfs/libxfs/xfs_format.h (struct xfs_btree_block, struct xfs_alloc_rec), fs/xfs/libxfs/xfs_btree.c.
 */

export interface FreeRun {
  first: number;
  count: number;
}

export type TreeOrder = 'by block' | 'by length';

const magics = {
  'by block': { plain: 0x41425442, checked: 0x41423342 }, // ABTB, AB3B
  'by length': { plain: 0x41425443, checked: 0x41423343 }, // ABTC, AB3C
};

/**
 * The free runs of the group in the order of the tree; lazy. Each is checked to come behind the one before it: so a tree with a
 * loop, or a block that is in it twice, ends. Throws Doubt.
 * @param visit is told each block of the tree
 */
export function* freeRuns(
  read: ReadAt,
  superblock: XfsSuperblock,
  group: AllocationGroup,
  order: TreeOrder,
  visit: (block: number) => void = () => undefined,
): Generator<FreeRun> {
  const invalid = () => new Doubt(`the tree of free space of allocation group ${group.number} is not valid`);
  let last: FreeRun = { first: 0, count: 0 };
  for (const run of recordsBelow(order === 'by block' ? group.byBlock : group.byLength)) {
    const end = last.first + last.count;
    // Runs that touch would be one.
    const isBehind =
      order === 'by block'
        ? run.first > end
        : run.count > last.count || (run.count === last.count && run.first > last.first);
    if (!isBehind || run.count === 0 || run.first + run.count > group.blockCount) throw invalid();
    yield run;
    last = run;
  }

  function* recordsBelow({ block, levels }: TreeRoot): Generator<FreeRun> {
    const bytes = readTreeBlock(read, superblock, group, { block, levels, order });
    visit(block);
    const fields = viewOf(bytes);
    const headerBytes = superblock.hasChecksums ? 56 : 16;
    const room = superblock.blockBytes - headerBytes;
    const records = fields.getUint16(6);
    const isRoot = block === (order === 'by block' ? group.byBlock : group.byLength).block;
    const most = Math.floor(room / (levels === 1 ? 8 : 12));
    if (records > most || (records === 0 && !(isRoot && levels === 1))) throw invalid();
    for (let index = 0; index < records; index++) {
      const at = headerBytes + index * 8;
      if (levels === 1) {
        yield { first: fields.getUint32(at), count: fields.getUint32(at + 4) };
        continue;
      }
      const child = fields.getUint32(headerBytes + most * 8 + index * 4);
      yield* recordsBelow({ block: child, levels: levels - 1 });
    }
  }
}

function readTreeBlock(
  read: ReadAt,
  { blockBytes, groupBlocks, hasChecksums, metadataUuid }: XfsSuperblock,
  group: AllocationGroup,
  { block, levels, order }: TreeRoot & { order: TreeOrder },
): Uint8Array {
  const invalid = (): Doubt =>
    new Doubt(`a block of the tree of free space of allocation group ${group.number} is not valid`);
  if (block >= group.blockCount) throw invalid();
  const bytes = read(group.offset + block * blockBytes, blockBytes);
  const fields = viewOf(bytes);
  const magic = magics[order][hasChecksums ? 'checked' : 'plain'];
  if (fields.getUint32(0) !== magic || fields.getUint16(4) !== levels - 1) throw invalid();
  if (!hasChecksums) return bytes;
  const sector = BigInt(group.number * groupBlocks + block) * BigInt(blockBytes / 512);
  const isOwn =
    fields.getBigUint64(16) === sector &&
    hasUuid(bytes, 32, metadataUuid) &&
    fields.getUint32(48) === group.number &&
    hasChecksum(bytes, 52);
  if (!isOwn) throw invalid();
  return bytes;
}

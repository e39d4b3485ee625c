import { type Extent, mergeTouching } from '../../../extent/extents.ts';
import { boundedRead } from '../bounded-read.ts';
import { Doubt, orDoubt } from '../doubt.ts';
import { freeRuns, type FreeRun, type TreeOrder } from './free-tree.ts';
import { readGroup, type AllocationGroup } from './group.ts';
import { requireCleanLog } from './log.ts';
import { logPlace, readSuperblock, type XfsSuperblock } from './superblock.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * Which blocks of XFS are in use: all that are not in the tree of free space by block. The tree by length must have the same runs:
 * without checksums (version 4), this alone tells damage.
 */

/** More blocks of trees in one group are not compared with its free runs: about 33 million runs. */
const MOST_TREE_BLOCKS = 65_536;

/** The bytes in use. Throws Doubt unless the free blocks are known for certain. */
export function countUsedBytes(readAt: ReadAt, regionBytes: number): number {
  const read = boundedRead(readAt, regionBytes);
  const superblock = readSuperblock(read, regionBytes);
  requireCleanLog(read, superblock);
  let freeBlocks = 0;
  let freeTotal = 0;
  for (let number = 0; number < superblock.groupCount; number++) {
    const group = readGroup(read, superblock, number);
    checkGroup(read, superblock, group);
    freeBlocks += group.freeBlocks;
    freeTotal += group.freeBlocks + group.spareBlocks + (superblock.countsTreeBlocks ? group.treeBlocks : 0);
  }
  if (freeTotal !== superblock.freeBlocks)
    throw new Doubt('its total of free blocks and those of its allocation groups disagree');
  return (superblock.blockCount - freeBlocks) * superblock.blockBytes;
}

/** What two lists of runs have in common, whatever their order. */
interface Tally {
  runs: number;
  blocks: number;
  longest: number;
  mix: number;
}

function tally(runs: Iterable<FreeRun>): Tally {
  const total = { runs: 0, blocks: 0, longest: 0, mix: 0 };
  for (const { first, count } of runs) {
    total.runs++;
    total.blocks += count;
    total.longest = Math.max(total.longest, count);
    const mixed = Math.imul(Math.imul(first ^ (first >>> 15), 0x2c1b3c6d) + count, 0x297a2d39);
    total.mix = (total.mix + (mixed ^ (mixed >>> 13))) >>> 0;
  }
  return total;
}

function checkGroup(read: ReadAt, superblock: XfsSuperblock, group: AllocationGroup): void {
  const { number } = group;
  const inUse = new Set(group.known);
  let treeBlocks = 0;
  const tallyOf = (order: TreeOrder): Tally =>
    tally(
      freeRuns(read, superblock, group, order, (block) => {
        treeBlocks++;
        if (inUse.size >= MOST_TREE_BLOCKS) throw new Doubt('its free space is in too many pieces');
        if (inUse.has(block)) throw new Doubt(`allocation group ${number} uses a block twice`);
        inUse.add(block);
      }),
    );
  const [byBlock, byLength] = [tallyOf('by block'), tallyOf('by length')];
  const isSame =
    byBlock.runs === byLength.runs && byBlock.blocks === byLength.blocks && byBlock.mix === byLength.mix;
  if (!isSame) throw new Doubt(`the trees of free space of allocation group ${number} disagree`);
  const reverseBlocks = Math.max(0, group.reverseBlocks - 1);
  const isCounted =
    byBlock.blocks === group.freeBlocks &&
    byBlock.longest === group.longestRun &&
    (!superblock.countsTreeBlocks || treeBlocks - 2 + reverseBlocks === group.treeBlocks);
  if (!isCounted) throw new Doubt(`allocation group ${number} has counted its free blocks differently`);
  checkMetadataInUse(read, superblock, group, inUse);
}

function checkMetadataInUse(
  read: ReadAt,
  superblock: XfsSuperblock,
  group: AllocationGroup,
  inUse: ReadonlySet<number>,
): void {
  const sorted = [...inUse].toSorted((one, other) => one - other);
  const log = logPlace(superblock);
  let next = 0;
  for (const { first, count } of freeRuns(read, superblock, group, 'by block')) {
    while ((sorted[next] ?? Infinity) < first) next++;
    const isLogFree =
      log.group === group.number && first < log.block + superblock.logBlocks && log.block < first + count;
    if (isLogFree || (sorted[next] ?? Infinity) < first + count)
      throw new Doubt(`metadata of allocation group ${group.number} are marked as free`);
  }
}

/** See `FileSystem.usedExtents`. A group that meanwhile fails its checks counts as used from there on. */
export function usedExtents(readAt: ReadAt, regionBytes: number): Generator<Extent> {
  return mergeTouching(usedPieces(boundedRead(readAt, regionBytes), regionBytes));
}

function* usedPieces(read: ReadAt, regionBytes: number): Generator<Extent> {
  const superblock = orDoubt(() => readSuperblock(read, regionBytes));
  if (superblock === null) {
    yield { offset: 0, length: regionBytes };
    return;
  }
  const { blockBytes, groupBlocks, groupCount, blockCount } = superblock;
  for (let number = 0; number < groupCount; number++) {
    const offset = number * groupBlocks * blockBytes;
    const group = orDoubt(() => readGroup(read, superblock, number));
    const runs = group === null ? null : freeRuns(read, superblock, group, 'by block');
    let used = 0;
    for (let run = orDoubt(() => runs?.next()); run?.done === false; run = orDoubt(() => runs?.next())) {
      yield { offset: offset + used * blockBytes, length: (run.value.first - used) * blockBytes };
      used = run.value.first + run.value.count;
    }
    const blocks = group?.blockCount ?? Math.min(groupBlocks, blockCount - number * groupBlocks);
    yield { offset: offset + used * blockBytes, length: (blocks - used) * blockBytes };
  }
  const end = blockCount * blockBytes;
  yield { offset: end, length: regionBytes - end };
}

/** See `FileSystem.estimateUsedBytes`: by the counts of the groups, which lag behind while it is mounted. */
export function estimateUsedBytes(readAt: ReadAt, regionBytes: number): number | null {
  const read = boundedRead(readAt, regionBytes);
  return orDoubt(() => {
    const superblock = readSuperblock(read, regionBytes);
    let used = superblock.blockCount;
    for (let number = 0; number < superblock.groupCount; number++)
      used -= readGroup(read, superblock, number).freeBlocks;
    return Math.max(0, used) * superblock.blockBytes;
  });
}

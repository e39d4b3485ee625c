import { type Extent, mergeTouching } from '../../../extent/extents.ts';
import { boundedRead, viewOf } from '../bounded-read.ts';
import { checkedUsage } from '../checked-usage.ts';
import { Doubt, orDoubt } from '../doubt.ts';
import type { FileSystem } from '../file-system.ts';
import { cleanText } from '../identity-text.ts';
import type { ReadAt } from '../../source/read-at.ts';
import { fatTypeOf, readLayout, type FatLayout } from './boot-sector.ts';
import { FREE, readTable } from './table.ts';
import { checkTree, clusterOffset } from './tree.ts';

const INFO_BYTES = 512;
const UNKNOWN_COUNT = 0xffffffff;

/** FAT12, FAT16 and FAT32. Free are the clusters that its table calls free. */
export const fat: FileSystem = {
  kinds: ['vfat'],
  identify(head) {
    const type = fatTypeOf(head);
    if (type === null) return null;
    // The volume's number, its label and Linux's state follow each other before the name of the type.
    const [stateAt, numberAt, labelAt] = [type.at - 17, type.at - 15, type.at - 11];
    const label = cleanText(head.subarray(labelAt, labelAt + 11));
    const isClean = ((head[stateAt] ?? 0) & 1) === 0;
    return {
      kind: 'vfat',
      label: label === 'NO NAME' ? '' : label,
      uuid: volumeNumber(head.subarray(numberAt, numberAt + 4)),
      clean: isClean,
      dirtyReason: isClean ? null : 'it was not unmounted cleanly',
    };
  },
  checkUsage: (read, regionBytes) =>
    checkedUsage(() => countUsedBytes(boundedRead(read, regionBytes), regionBytes)),
  usedExtents: (read, regionBytes) => mergeTouching(usedPieces(boundedRead(read, regionBytes), regionBytes)),
  estimateUsedBytes: (read, regionBytes) =>
    orDoubt(() => usedBytesNow(boundedRead(read, regionBytes), regionBytes)),
};

/** As blkid(8) shows it: `1234-ABCD`. */
function volumeNumber(bytes: Uint8Array): string {
  const digits = [...bytes].toReversed().map((byte) => byte.toString(16).padStart(2, '0').toUpperCase());
  return `${digits.slice(0, 2).join('')}-${digits.slice(2).join('')}`;
}

/** Throws Doubt unless the free clusters are known for certain. */
function countUsedBytes(read: ReadAt, regionBytes: number): number {
  const layout = readLayout(read, regionBytes);
  const table = readTable(read, layout, { compared: true });
  checkTree(read, layout, table);
  const freeClusters = countFree(table.entries);
  if (!isCountedAs(read, layout, freeClusters))
    throw new Doubt('it has counted its free clusters differently');
  return usedBytes(layout, freeClusters);
}

function usedBytesNow(read: ReadAt, regionBytes: number): number {
  const layout = readLayout(read, regionBytes);
  return usedBytes(layout, countFree(readTable(read, layout, { compared: false }).entries));
}

function usedBytes({ dataOffset, clusterCount, clusterBytes }: FatLayout, freeClusters: number): number {
  return dataOffset + (clusterCount - freeClusters) * clusterBytes;
}

function countFree(entries: Uint32Array): number {
  let free = 0;
  for (const entry of entries) if (entry === FREE) free++;
  return free;
}

/** Whether FAT32's own count agrees. There need not be any. */
function isCountedAs(read: ReadAt, { infoOffset, tables }: FatLayout, freeClusters: number): boolean {
  if (infoOffset === null) return true;
  if (infoOffset + INFO_BYTES > tables[0]) return false;
  const info = viewOf(read(infoOffset, INFO_BYTES));
  const isValid =
    info.getUint32(0, true) === 0x41615252 &&
    info.getUint32(484, true) === 0x61417272 &&
    info.getUint32(508, true) === 0xaa550000;
  const counted = info.getUint32(488, true);
  return isValid && (counted === UNKNOWN_COUNT || counted === freeClusters);
}

function* usedPieces(read: ReadAt, regionBytes: number): Generator<Extent> {
  const layout = orDoubt(() => readLayout(read, regionBytes));
  const table = layout === null ? null : orDoubt(() => readTable(read, layout, { compared: false }));
  if (layout === null || table === null) {
    yield { offset: 0, length: regionBytes };
    return;
  }
  const { dataOffset, clusterBytes, clusterCount } = layout;
  yield { offset: 0, length: dataOffset };
  let start: number | null = null;
  const end = clusterCount + 2;
  for (let cluster = 2; cluster <= end; cluster++) {
    const isUsed = cluster < end && table.entries[cluster] !== FREE;
    if (isUsed) start ??= cluster;
    else if (start !== null) {
      yield { offset: clusterOffset(layout, start), length: (cluster - start) * clusterBytes };
      start = null;
    }
  }
  const behind = clusterOffset(layout, end);
  yield { offset: behind, length: regionBytes - behind };
}

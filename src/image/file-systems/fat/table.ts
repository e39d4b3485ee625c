import { viewOf } from '../bounded-read.ts';
import { Doubt, Unclean } from '../doubt.ts';
import type { FatLayout, FatWidth } from './boot-sector.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The table of FAT: for each cluster the next one of its file. Its two first entries have the type of the medium, and whether it was
 * unmounted in order. Sources: see boot-sector.ts.
 */

/** A multiple of the length of 2 entries of any width, and of a sector. */
const PIECE_BYTES = 3 * 2 ** 18;

/** Which values of an entry mean something, and the bits of entry 1. */
const widths: Record<FatWidth, { mask: number; isClean: number; hasNoError: number }> = {
  // FAT12 has no such bits.
  12: { mask: 0xfff, isClean: 0, hasNoError: 0 },
  16: { mask: 0xffff, isClean: 0x8000, hasNoError: 0x4000 },
  32: { mask: 0x0fffffff, isClean: 0x08000000, hasNoError: 0x04000000 },
};

export const FREE = 0;

export interface FatTable {
  /** For each cluster the next one, `FREE`, or a value for which `isEnd` or `isReserved` holds. */
  entries: Uint32Array;
  /** The last cluster of a file. */
  isEnd: (entry: number) => boolean;
}

/**
 * Reads the first copy of the table. Throws Doubt if it does not begin as it must. With `compared`, also if the other copy differs,
 * if the file system was not unmounted in order, or if there are entries behind the last cluster.
 */
export function readTable(read: ReadAt, layout: FatLayout, { compared }: { compared: boolean }): FatTable {
  const { width, media, tables, tableBytes, clusterCount } = layout;
  const { mask, isClean, hasNoError } = widths[width];
  const entries = new Uint32Array(clusterCount + 2);
  let stray = 0;
  for (let at = 0; at < tableBytes; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, tableBytes - at);
    const piece = read(tables[0] + at, length);
    if (compared && !isSame(piece, read(tables[1] + at, length)))
      throw new Doubt('the two copies of its table disagree');
    const first = (at * 8) / width;
    const count = Math.floor((length * 8) / width);
    forEachEntry(piece, width, count, (index, entry) => {
      if (first + index < entries.length) entries[first + index] = entry & mask;
      else stray |= entry & mask;
    });
  }
  const [medium = 0, state = 0] = entries;
  if (medium !== ((mask - 0xff) | media) >>> 0) throw new Doubt('its table does not begin as it must');
  if (compared) {
    if (stray !== 0) throw new Doubt('its table has entries behind its last cluster');
    if ((state & isClean) !== isClean) throw new Unclean('it was not unmounted cleanly');
    if ((state & hasNoError) !== hasNoError) throw new Doubt('it has noted errors of its disk');
  }
  return { entries, isEnd: (entry) => entry >= mask - 7 };
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function forEachEntry(
  piece: Uint8Array,
  width: FatWidth,
  count: number,
  visit: (index: number, entry: number) => void,
): void {
  const fields = viewOf(piece);
  for (let index = 0; index < count; index++) {
    if (width === 32) visit(index, fields.getUint32(index * 4, true));
    else if (width === 16) visit(index, fields.getUint16(index * 2, true));
    else {
      const pair = fields.getUint16(Math.floor(index * 1.5), true);
      visit(index, index % 2 === 0 ? pair & 0xfff : pair >> 4);
    }
  }
}

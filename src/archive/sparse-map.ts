import type { Extent } from '../extent/extents.ts';
import type { ByteReader } from '../codec/byte-reader.ts';
import { damagedArchive } from '../codec/damaged-archive.ts';
import { BLOCK_BYTES, paddingBytes } from './tar-header.ts';

/*
 * The map of a sparse member, GNU's format 1.0 (GNU tar manual, "Storing Sparse Files"): decimal numbers, each on a line: how many
 * extents, and for each its offset and its length; filled up to a whole block. The data of the extents follows.
 */

/** More extents than this would fill a reader's memory: 16 MiB for a million. */
export const MOST_EXTENTS = 2 ** 20;

/** No line of a map is longer: 16 digits state every safe integer. */
const LONGEST_NUMBER = 16;

/** Joins extents across small gaps, until there are few enough. The bytes of such a gap are then data, too. */
export function fewExtents(
  extents: () => Iterable<Extent>,
  mostExtents = MOST_EXTENTS - 1,
): () => Iterable<Extent> {
  const withGap = (gapBytes: number) => (gapBytes === 0 ? extents : () => joined(extents(), gapBytes));
  let gapBytes = 0;
  while (isMore(withGap(gapBytes)(), mostExtents)) gapBytes = Math.max(BLOCK_BYTES, 2 * gapBytes);
  return withGap(gapBytes);
}

function isMore(extents: Iterable<Extent>, most: number): boolean {
  let count = 0;
  for (const _ of extents) if (++count > most) return true;
  return false;
}

function* joined(extents: Iterable<Extent>, gapBytes: number): Iterable<Extent> {
  let pending: Extent | null = null;
  for (const { offset, length } of extents) {
    if (pending !== null && offset - pending.offset - pending.length <= gapBytes) {
      pending = { offset: pending.offset, length: offset + length - pending.offset };
      continue;
    }
    if (pending !== null) yield pending;
    pending = { offset, length };
  }
  if (pending !== null) yield pending;
}

const PIECE_CHARACTERS = 2 ** 16;

/** The map's text, in pieces, without padding. As GNU tar does, it ends with an empty extent at the end of the file. */
export function* sparseMapText(extents: () => Iterable<Extent>, sizeBytes: number): Iterable<string> {
  let count = 1;
  for (const _ of extents()) count++;
  let piece = `${count}\n`;
  for (const { offset, length } of extents()) {
    piece += `${offset}\n${length}\n`;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}${sizeBytes}\n0\n`;
}

/** Extents in little memory: offset and length, one after the other. */
export class ExtentList implements Iterable<Extent> {
  readonly #numbers: Float64Array;

  constructor(count: number) {
    this.#numbers = new Float64Array(2 * count);
  }

  set(index: number, { offset, length }: Extent): void {
    this.#numbers[2 * index] = offset;
    this.#numbers[2 * index + 1] = length;
  }

  *[Symbol.iterator](): Iterator<Extent> {
    for (let index = 0; index < this.#numbers.length; index += 2) {
      const [offset = 0, length = 0] = this.#numbers.subarray(index, index + 2);
      if (length > 0) yield { offset, length };
    }
  }
}

/** A map that was read: its extents, and how many bytes of the member come behind it. */
export interface SparseMap {
  extents: ExtentList;
  dataBytes: number;
}

/**
 * Reads the map at the beginning of a member. Throws Failure `archive-damaged` unless the extents are ascending, disjoint, inside the
 * file, and as long as the rest of the member.
 * @param sizeBytes of the whole file
 */
export async function readSparseMap(
  reader: ByteReader,
  memberBytes: number,
  sizeBytes: number,
): Promise<SparseMap> {
  let readBytes = 0;
  const number = async (): Promise<number> => {
    const line = await reader.line(LONGEST_NUMBER, memberBytes - readBytes);
    readBytes += line.length + 1;
    const value = /^[0-9]+$/.test(line) ? Number(line) : NaN;
    if (Number.isSafeInteger(value)) return value;
    throw damagedArchive('has a sparse map with something that is not a number');
  };
  const count = await number();
  if (count > MOST_EXTENTS) throw damagedArchive(`has a sparse map of ${count} extents, which is too many`);
  const extents = new ExtentList(count);
  let end = 0;
  let dataBytes = 0;
  for (let index = 0; index < count; index++) {
    const offset = await number();
    const length = await number();
    if (offset < end) throw damagedArchive('has a sparse map that overlaps, or runs backwards');
    end = offset + length;
    if (end > sizeBytes) throw damagedArchive('has a sparse map that reaches beyond the end of its file');
    dataBytes += length;
    extents.set(index, { offset, length });
  }
  const padding = paddingBytes(readBytes);
  if (readBytes + padding + dataBytes !== memberBytes)
    throw damagedArchive('has a sparse map that does not have the length of its data');
  await reader.skip(padding);
  return { extents, dataBytes };
}

import { type Extent, intersect, totalLength } from '../../extent/extents.ts';
import type { ReadAt } from './read-at.ts';

/** Reads pieces of a disk as if they were one, in the order given. */
export function mappedReader(read: ReadAt, pieces: readonly Extent[]): ReadAt {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1)
    return (offset, length) => read(only.offset + offset, length);
  return (offset, length) => {
    const bytes = new Uint8Array(length);
    let start = 0;
    for (const piece of pieces) {
      const from = Math.max(start, offset);
      const end = Math.min(start + piece.length, offset + length);
      if (from < end) bytes.set(read(piece.offset + from - start, end - from), from - offset);
      start += piece.length;
    }
    if (offset < 0 || offset + length > start)
      throw new Error(`a read of ${length} bytes at ${offset} in ${start} bytes`);
    return bytes;
  };
}

/**
 * Where extents of the whole are on the disk, piece by piece: in the order of the disk, if the caller asks for the pieces in that order.
 * @param index the piece
 * @param extents gives the extents of the whole; called once for each piece
 */
export function* placedInPiece(
  pieces: readonly Extent[],
  index: number,
  extents: () => Iterable<Extent>,
): Generator<Extent> {
  const piece = pieces[index];
  if (piece === undefined) return;
  const start = totalLength(pieces.slice(0, index));
  for (const { offset, length } of intersect(extents(), [{ offset: start, length: piece.length }]))
    yield { offset: piece.offset + offset - start, length };
}

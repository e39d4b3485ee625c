import { mergeTouching, type Extent } from '../extent/extents.ts';
import { chunkLength, type ChunkGrid } from './chunk-grid.ts';

/** For each position of the grid: 1 if an extent touches its chunk. The extents need not be sorted. */
export function touchedChunks(extents: Iterable<Extent>, grid: ChunkGrid): Uint8Array {
  const touched = new Uint8Array(grid.chunkCount);
  for (const { offset, length } of extents) {
    const first = Math.floor(offset / grid.chunkBytes);
    touched.fill(1, first, Math.ceil((offset + length) / grid.chunkBytes));
  }
  return touched;
}

/** The parts of the extents in chunks that `isMeant` selects. It is called in the extents' order. Lazy. */
export function* extentsInChunks(
  extents: Iterable<Extent>,
  { chunkBytes }: ChunkGrid,
  isMeant: (position: number) => boolean,
): Generator<Extent> {
  for (const { offset, length } of extents) {
    const end = offset + length;
    let from = offset;
    while (from < end) {
      const isIn = isMeant(Math.floor(from / chunkBytes));
      let to = from;
      do to = Math.min(end, (Math.floor(to / chunkBytes) + 1) * chunkBytes);
      while (to < end && isMeant(to / chunkBytes) === isIn);
      if (isIn) yield { offset: from, length: to - from };
      from = to;
    }
  }
}

/** The bytes of the chunks at these ascending positions; neighbours become one extent. Lazy. */
export function extentsOfChunks(positions: Iterable<number>, grid: ChunkGrid): Generator<Extent> {
  return mergeTouching(chunkExtents(positions, grid));
}

function* chunkExtents(positions: Iterable<number>, grid: ChunkGrid): Generator<Extent> {
  for (const position of positions)
    yield { offset: position * grid.chunkBytes, length: chunkLength(grid, position) };
}

import type { Extent } from '../extent/extents.ts';
import type { ChunkGrid } from './chunk-grid.ts';

/** For each position of the grid 1 where one of the extents touches its chunk. They need not be sorted. */
export function touchedChunks(extents: Iterable<Extent>, grid: ChunkGrid): Uint8Array {
  const touched = new Uint8Array(grid.chunkCount);
  for (const { offset, length } of extents) {
    const first = Math.floor(offset / grid.chunkBytes);
    touched.fill(1, first, Math.ceil((offset + length) / grid.chunkBytes));
  }
  return touched;
}

/** What of the extents lies in the chunks that are meant; they are asked for in the extents' order. Lazy. */
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

/** Positions of chunks: the first, and how many. */
export type ChunkRange = readonly [first: number, count: number];

/** The ranges that these ascending positions are, in lists of at most `mostRanges`. */
export function* rangesOf(positions: Iterable<number>, mostRanges: number): Generator<ChunkRange[]> {
  let ranges: ChunkRange[] = [];
  let first = -1;
  let count = 0;
  for (const position of positions) {
    if (count > 0 && position === first + count) {
      count++;
      continue;
    }
    if (count > 0) ranges.push([first, count]);
    if (ranges.length === mostRanges) {
      yield ranges;
      ranges = [];
    }
    first = position;
    count = 1;
  }
  if (count > 0) ranges.push([first, count]);
  if (ranges.length > 0) yield ranges;
}

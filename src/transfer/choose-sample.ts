/** How many chunks that the file system calls unchanged are read nevertheless, as a check. */
export const SAMPLE_CHUNKS = 64;

/** Chooses this many of the positions with the mark 1 at random; all, if there are fewer. */
export function chooseSample(marks: Uint8Array, size: number, random: () => number): Set<number> {
  let count = 0;
  for (const mark of marks) if (mark === 1) count++;
  const ranks = new Set<number>();
  while (ranks.size < Math.min(size, count)) {
    let rank = Math.floor(random() * count);
    while (ranks.has(rank)) rank = (rank + 1) % count;
    ranks.add(rank);
  }
  const positions = new Set<number>();
  let rank = 0;
  for (let position = marks.indexOf(1); position >= 0; position = marks.indexOf(1, position + 1))
    if (ranks.has(rank++)) positions.add(position);
  return positions;
}

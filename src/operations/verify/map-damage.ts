import { totalLength, type Extent } from '../../extent/extents.ts';

/** Further ranges of a disk are only counted: a small store can name millions of them. */
const MOST_RANGES = 1000;

/** The parts of a disk that cannot be restored. */
export interface MapDamage {
  bytes: number;
  /** The first `MOST_RANGES` ranges; ascending, not touching. */
  ranges: readonly Extent[];
  /** How many ranges follow those. */
  moreRanges: number;
}

/** Collects damage from the beginning of a disk to its end. */
export class FoundDamage implements MapDamage {
  bytes = 0;
  moreRanges = 0;
  readonly ranges: Extent[] = [];
  #end = 0;

  /**
   * @param extents ascending, not touching, after all that were added before
   * @param bytes their total length, if the caller knows it: many disks add the same extents
   */
  add(extents: readonly Extent[], bytes = totalLength(extents)): void {
    const [first] = extents;
    const end = extents.at(-1);
    if (first === undefined || end === undefined) return;
    const continues = this.bytes > 0 && first.offset === this.#end;
    this.bytes += bytes;
    this.#end = end.offset + end.length;
    const last = this.ranges.at(-1);
    if (continues && this.moreRanges === 0 && last !== undefined) last.length += first.length;
    const room = MOST_RANGES - this.ranges.length;
    const others = continues ? extents.slice(1, room + 1) : extents.slice(0, room);
    for (const { offset, length } of others) this.ranges.push({ offset, length });
    this.moreRanges += extents.length - (continues ? 1 : 0) - others.length;
  }
}

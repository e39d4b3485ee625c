import { totalLength, type Extent } from '../../extent/extents.ts';

/** More ranges of one disk are only counted: a small store can name millions of them. */
const MOST_RANGES = 1000;

/** What of a disk cannot be restored. */
export interface MapDamage {
  /** All of it. */
  bytes: number;
  /** The first of its ranges; ascending, not touching. */
  ranges: readonly Extent[];
  /** How many ranges there are behind those. */
  moreRanges: number;
}

/** Damage that is found from the disk's beginning to its end. */
export class FoundDamage implements MapDamage {
  bytes = 0;
  moreRanges = 0;
  readonly ranges: Extent[] = [];
  #end = 0;

  /**
   * @param extents ascending, not touching, behind all that were added before
   * @param bytes their length; many disks add the same extents
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

import { type Extent, intersect, subtract } from '../../extent/extents.ts';

/** A range of a file, and its place on the disk: the byte at offset + n lies at place + n. */
export interface PlacedExtent extends Extent {
  place: number;
}

/** One of two images that are compared by the places of their bytes on the disk. */
export interface ComparedImage {
  /** Its bytes in use (`usedExtents`); each call computes them again, lazily. */
  used: () => Iterable<Extent>;
  /** Where its bytes lie on the disk, as far as known; sorted, disjoint. */
  places: () => Iterable<PlacedExtent>;
}

/**
 * The extents that lie at the same place of the disk in both. Takes sorted and disjoint extents, as `extents.ts` does.
 */
export function samePlaces(first: Iterable<PlacedExtent>, second: Iterable<PlacedExtent>): Generator<Extent> {
  return intersect(first, second, (one, other) => one.place - one.offset === other.place - other.offset);
}

/**
 * The extents in which the two images may differ; bytes not in use count as zero. Not sorted; lazy. Nothing may write
 * to either image meanwhile.
 */
export function* changedExtents(now: ComparedImage, before: ComparedImage): Generator<Extent> {
  const same = samePlaces(now.places(), before.places());
  yield* subtract(now.used(), intersect(before.used(), same));
  yield* subtract(before.used(), now.used());
}

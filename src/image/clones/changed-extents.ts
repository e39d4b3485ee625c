import { type Extent, intersect, subtract } from '../../extent/extents.ts';

/** A range of a file's bytes, and where on the disk they lie: place + n is where offset + n does. */
export interface PlacedExtent extends Extent {
  place: number;
}

/** An image as two of its kind are compared by what their file system says of them. */
export interface ComparedImage {
  /** Its bytes in use (`usedExtents`); computed anew at each call, lazily. */
  used: () => Iterable<Extent>;
  /** Where its bytes lie on the disk, as far as that is known; sorted, disjoint. */
  places: () => Iterable<PlacedExtent>;
}

/** Where both have the same bytes of the disk. Takes sorted and disjoint extents, as `extents.ts` does. */
export function samePlaces(first: Iterable<PlacedExtent>, second: Iterable<PlacedExtent>): Generator<Extent> {
  return intersect(first, second, (one, other) => one.place - one.offset === other.place - other.offset);
}

/**
 * Where what is in use of the two may differ, all else being taken for zero: everywhere else, both are the same. Not
 * sorted. Lazy. Neither may be written to meanwhile.
 */
export function* changedExtents(now: ComparedImage, before: ComparedImage): Generator<Extent> {
  const same = samePlaces(now.places(), before.places());
  yield* subtract(now.used(), intersect(before.used(), same));
  yield* subtract(before.used(), now.used());
}

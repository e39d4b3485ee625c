import { type Extent, intersect, mergeTouching, subtract } from './extents.ts';

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
  return mergeTouching(overlapsInPlace(first, second));
}

function* overlapsInPlace(first: Iterable<PlacedExtent>, second: Iterable<PlacedExtent>): Generator<Extent> {
  const left = first[Symbol.iterator]();
  const right = second[Symbol.iterator]();
  let a = left.next();
  let b = right.next();
  while (a.done !== true && b.done !== true) {
    const aEnd = a.value.offset + a.value.length;
    const bEnd = b.value.offset + b.value.length;
    const offset = Math.max(a.value.offset, b.value.offset);
    const length = Math.min(aEnd, bEnd) - offset;
    const isSame = a.value.place - a.value.offset === b.value.place - b.value.offset;
    if (length > 0 && isSame) yield { offset, length };
    if (aEnd <= bEnd) a = left.next();
    else b = right.next();
  }
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

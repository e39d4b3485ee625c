/** A range of bytes of an image, `offset` and `length` in bytes; `length` is never 0. */
export interface Extent {
  offset: number;
  length: number;
}

/*
 * All functions below take sorted, disjoint extents, and return sorted, disjoint extents that do not touch. They are
 * lazy: memory does not grow with the number of extents.
 */

/** Joins extents that touch or overlap; drops those of length 0. */
export function* mergeTouching(extents: Iterable<Extent>): Generator<Extent> {
  let pending: Extent | null = null;
  for (const { offset, length } of extents) {
    if (length <= 0) continue;
    if (pending !== null && offset <= pending.offset + pending.length) {
      const end = Math.max(pending.offset + pending.length, offset + length);
      pending = { offset: pending.offset, length: end - pending.offset };
      continue;
    }
    if (pending !== null) yield pending;
    pending = { offset, length };
  }
  if (pending !== null) yield pending;
}

/** The bytes in both. With `match`, only those of pairs that match. */
export function intersect<One extends Extent, Other extends Extent>(
  first: Iterable<One>,
  second: Iterable<Other>,
  match: (one: One, other: Other) => boolean = () => true,
): Generator<Extent> {
  return mergeTouching(overlaps(first, second, match));
}

function* overlaps<One extends Extent, Other extends Extent>(
  first: Iterable<One>,
  second: Iterable<Other>,
  match: (one: One, other: Other) => boolean,
): Generator<Extent> {
  const left = first[Symbol.iterator]();
  const right = second[Symbol.iterator]();
  let a = left.next();
  let b = right.next();
  while (a.done !== true && b.done !== true) {
    const aEnd = a.value.offset + a.value.length;
    const bEnd = b.value.offset + b.value.length;
    const offset = Math.max(a.value.offset, b.value.offset);
    const end = Math.min(aEnd, bEnd);
    if (end > offset && match(a.value, b.value)) yield { offset, length: end - offset };
    if (aEnd <= bEnd) a = left.next();
    else b = right.next();
  }
}

/** The bytes in the first, but not in the second. */
export function subtract(first: Iterable<Extent>, second: Iterable<Extent>): Generator<Extent> {
  return mergeTouching(remainders(first, second));
}

function* remainders(first: Iterable<Extent>, second: Iterable<Extent>): Generator<Extent> {
  const cuts = second[Symbol.iterator]();
  let cut = cuts.next();
  for (const { offset, length } of first) {
    const end = offset + length;
    let from = offset;
    while (cut.done !== true && cut.value.offset < end) {
      const { offset: cutOffset, length: cutLength } = cut.value;
      if (cutOffset > from) yield { offset: from, length: cutOffset - from };
      from = Math.max(from, cutOffset + cutLength);
      if (cutOffset + cutLength > end) break;
      cut = cuts.next();
    }
    if (from < end) yield { offset: from, length: end - from };
  }
}

/** The same extents, moved by `distance` bytes. */
export function* shift(extents: Iterable<Extent>, distance: number): Generator<Extent> {
  for (const { offset, length } of extents) yield { offset: offset + distance, length };
}

/** The sum of their lengths, in bytes. */
export function totalLength(extents: Iterable<Extent>): number {
  let total = 0;
  for (const { length } of extents) total += length;
  return total;
}

/*
 * A bitmap of ext2/3/4 or NTFS: bit n is set when block n is in use; the lowest bit of a byte comes first. Sources: Linux,
 * Documentation/filesystems/ext4/bitmaps.rst; ntfs-3g, libntfs-3g/bitmap.c.
 */

const setBitsOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest > 0; rest >>= 1) bits += rest & 1;
  return bits;
});

function bitAt(bitmap: Uint8Array, bit: number): boolean {
  return ((bitmap[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
}

/** How many of the first `bitCount` bits are not set. */
export function countFree(bitmap: Uint8Array, bitCount: number): number {
  const wholeBytes = bitCount >> 3;
  let used = 0;
  for (let index = 0; index < wholeBytes; index++) used += setBitsOfByte[bitmap[index] ?? 0] ?? 0;
  for (let bit = wholeBytes * 8; bit < bitCount; bit++) if (bitAt(bitmap, bit)) used++;
  return bitCount - used;
}

/** Whether all bits from `from` up to, not including, `end` are set. */
export function allSet(bitmap: Uint8Array, from: number, end: number): boolean {
  return findBit(bitmap, from, end, false) === end;
}

/** Whether one of these bits is set. */
export function anySet(bitmap: Uint8Array, from: number, end: number): boolean {
  return findBit(bitmap, from, end, true) < end;
}

export function setBits(bitmap: Uint8Array, from: number, end: number): void {
  for (let bit = from; bit < end; bit++) bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
}

/** The first bit from `from` up to `end` that is set (or not set); `end` when there is none. */
function findBit(bitmap: Uint8Array, from: number, end: number, set: boolean): number {
  const uniform = set ? 0x00 : 0xff;
  let bit = from;
  while (bit < end) {
    if ((bit & 7) === 0 && bitmap[bit >> 3] === uniform) bit += 8;
    else if (bitAt(bitmap, bit) === set) return bit;
    else bit++;
  }
  return end;
}

/** The runs of set bits among the first `bitCount`, as [first, end). */
export function* usedRuns(bitmap: Uint8Array, bitCount: number): Generator<[number, number]> {
  let end = 0;
  for (;;) {
    const first = findBit(bitmap, end, bitCount, true);
    if (first >= bitCount) return;
    end = findBit(bitmap, first, bitCount, false);
    yield [first, end];
  }
}

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cowOverlay } from '../../../../src/image/formats/view/cow-overlay.ts';

const CLUSTER_BYTES = 16 * 1024;
/** One table of the overlay has the sectors of 16 MiB. */
const TABLE_SECTORS = 32 * 1024;

/** The overlay as a whole: its parts, and zeros between them. */
function overlayOf(sizeBytes: number, bitmap: Uint8Array): Buffer {
  const parts = [
    ...cowOverlay(sizeBytes, (offset, length) => {
      if (offset + length > bitmap.length) throw new Error('it reads beyond the bitmap');
      return bitmap.slice(offset, offset + length);
    }),
  ];
  const whole = Buffer.alloc(Math.max(...parts.map(({ offset, bytes }) => offset + bytes.length)));
  for (const { offset, bytes } of parts) {
    if (whole.subarray(offset, offset + bytes.length).some((byte) => byte !== 0))
      throw new Error('parts overlap');
    whole.set(bytes, offset);
  }
  return whole;
}

/** Where the sector lies in the file of data, read as QEMU's docs/interop/qcow2.txt has it; null: in the backing file. */
function placeOf(overlay: Buffer, sector: number): number | null {
  const offsetMask = 0x00ff_ffff_ffff_fe00n;
  const cluster = Math.floor(sector / 32);
  const first = Number(overlay.readBigUInt64BE(40)) + Math.floor(cluster / 1024) * 8;
  const table = overlay.readBigUInt64BE(first) & offsetMask;
  if (table === 0n) return null;
  const entry = Number(table) + (cluster % 1024) * 16;
  const [place, allocated] = [overlay.readBigUInt64BE(entry), overlay.readBigUInt64BE(entry + 8)];
  if (((allocated >> BigInt(sector % 32)) & 1n) === 0n) return null;
  // An offset of 0 is valid only with this bit.
  if (place >> 63n !== 1n) throw new Error(`cluster ${cluster} has no place`);
  return Number(place & offsetMask) + (sector % 32) * 512;
}

describe('the overlay of a copy-on-write file', () => {
  test('has each sector at its place where its bit is set, and leaves the others to the backing file', () => {
    const disk = fc.integer({ min: 1, max: 3 * TABLE_SECTORS }).chain((sectors) =>
      fc.record({
        sectors: fc.constant(sectors),
        set: fc.array(fc.integer({ min: 0, max: sectors - 1 }), { maxLength: 40 }),
        run: fc.tuple(fc.integer({ min: 0, max: sectors - 1 }), fc.integer({ min: 0, max: 200 })),
      }),
    );
    fc.assert(
      fc.property(disk, ({ sectors, set, run: [from, length] }) => {
        const written = new Set([...set, ...Array.from({ length }, (_, index) => from + index)]);
        const bitmap = new Uint8Array(Math.ceil(sectors / 8));
        // Also bits behind the last sector, which count for nothing.
        for (const sector of written)
          if (sector >> 3 < bitmap.length)
            bitmap[sector >> 3] = (bitmap[sector >> 3] ?? 0) | (1 << (sector & 7));
        const overlay = overlayOf(sectors * 512, bitmap);
        const looked = [...written, ...[...written].flatMap((one) => [one - 1, one + 1]), 0, sectors - 1];
        const wrong = looked
          .filter((one) => one >= 0 && one < sectors)
          .filter((one) => placeOf(overlay, one) !== (written.has(one) ? one * 512 : null));
        expect(wrong).toEqual([]);
        for (let sector = sectors; sector % 32 !== 0; sector++) expect(placeOf(overlay, sector)).toBeNull();
      }),
      { numRuns: 60 },
    );
  });

  test('has no tables where nothing was written', () => {
    const sizeBytes = 2 ** 30;
    const bitmap = new Uint8Array(sizeBytes / 512 / 8);
    expect(overlayOf(sizeBytes, bitmap).length).toBeLessThanOrEqual(3 * CLUSTER_BYTES);
    bitmap[bitmap.length - 1] = 0x80;
    const overlay = overlayOf(sizeBytes, bitmap);
    expect(overlay.length).toBe(4 * CLUSTER_BYTES);
    expect(placeOf(overlay, sizeBytes / 512 - 1)).toBe(sizeBytes - 512);
  });
});

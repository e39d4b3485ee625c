import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Doubt } from '../../../../../src/image/file-systems/doubt.ts';
import type { FatLayout, FatWidth } from '../../../../../src/image/file-systems/fat/boot-sector.ts';
import { readTable } from '../../../../../src/image/file-systems/fat/table.ts';

const TABLE_BYTES = 4096;
const MEDIA = 0xf8;
const masks: Record<FatWidth, number> = { 12: 0xfff, 16: 0xffff, 32: 0x0fffffff };

/** The table as a number in one piece, lowest entry first: this is what its definition says for every width. */
function encode(entries: readonly number[], width: FatWidth): Uint8Array {
  const bytes = new Uint8Array(TABLE_BYTES);
  let number = 0n;
  for (const entry of entries.toReversed()) number = (number << BigInt(width)) | BigInt(entry);
  for (let at = 0; number > 0n; at++, number >>= 8n) bytes[at] = Number(number & 0xffn);
  return bytes;
}

function layoutOf(width: FatWidth, clusterCount: number): FatLayout {
  return {
    width,
    media: MEDIA,
    tables: [0, TABLE_BYTES],
    tableBytes: TABLE_BYTES,
    root: { offset: 2 * TABLE_BYTES, length: 512 },
    rootCluster: 0,
    dataOffset: 3 * TABLE_BYTES,
    clusterBytes: 512,
    clusterCount,
    infoOffset: null,
  };
}

const tables = fc.constantFrom<FatWidth>(12, 16, 32).chain((width) =>
  fc.record({
    width: fc.constant(width),
    files: fc.array(fc.integer({ min: 0, max: masks[width] }), { minLength: 1, maxLength: 500 }),
  }),
);

function readerOf(bytes: Uint8Array, copy = bytes) {
  const disk = Buffer.concat([bytes, copy]);
  return (offset: number, length: number): Uint8Array => disk.subarray(offset, offset + length);
}

function begin(width: FatWidth): number[] {
  return [masks[width] - 0xff + MEDIA, masks[width]];
}

test('the entries of a table are read, whatever their width', () => {
  fc.assert(
    fc.property(tables, ({ width, files }) => {
      const entries = [...begin(width), ...files];
      const read = readerOf(encode(entries, width));
      const table = readTable(read, layoutOf(width, files.length), { compared: true });
      expect([...table.entries]).toEqual(entries);
      expect(files.filter((entry) => table.isEnd(entry))).toEqual(
        files.filter((entry) => entry >= masks[width] - 7),
      );
    }),
  );
});

test('an entry that differs in the other copy, or lies behind the last cluster, is doubtful', () => {
  fc.assert(
    fc.property(tables, fc.nat(), ({ width, files }, which) => {
      const entries = [...begin(width), ...files];
      const changed = entries.with(2 + (which % files.length), 1 + ((files[which % files.length] ?? 0) % 9));
      const [one, other] = [encode(entries, width), encode(changed, width)];
      const layout = layoutOf(width, files.length);
      const isSame = Buffer.compare(one, other) === 0;
      if (!isSame) expect(() => readTable(readerOf(one, other), layout, { compared: true })).toThrow(Doubt);
      const longer = encode([...entries, 1], width);
      expect(() => readTable(readerOf(longer), layout, { compared: true })).toThrow(
        'behind its last cluster',
      );
    }),
  );
});

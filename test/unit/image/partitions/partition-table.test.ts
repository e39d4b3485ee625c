import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32 } from '../../../../src/codec/crc.ts';
import { type PartitionTable, readPartitionTable } from '../../../../src/image/partitions/partition-table.ts';

const SECTOR = 512;

type Entry = readonly [type: number, firstSector: number, sectorCount: number, flag?: number];

function writeRecord(disk: Uint8Array, sector: number, entries: readonly Entry[]): void {
  const view = new DataView(disk.buffer, sector * SECTOR, SECTOR);
  for (const [index, [type, first, count, flag = 0]] of entries.entries()) {
    const offset = 446 + index * 16;
    view.setUint8(offset, flag);
    view.setUint8(offset + 4, type);
    view.setUint32(offset + 8, first, true);
    view.setUint32(offset + 12, count, true);
  }
  view.setUint16(510, 0xaa55, true);
}

function readTable(disk: Uint8Array): PartitionTable {
  return readPartitionTable((offset, length) => {
    if (offset < 0 || offset + length > disk.length)
      throw new Error(`a read of ${length} bytes at ${offset}`);
    return disk.slice(offset, offset + length);
  }, disk.length);
}

function sectors(...runs: [first: number, count: number][]) {
  return runs.map(([first, count]) => ({ offset: first * SECTOR, length: count * SECTOR }));
}

describe('an MBR partition table', () => {
  test('gives its primary and logical partitions in the order of the disk', () => {
    const disk = new Uint8Array(1000 * SECTOR);
    writeRecord(disk, 0, [
      [0x83, 700, 100],
      [0x05, 100, 400],
      [0x82, 10, 50, 0x80],
    ]);
    writeRecord(disk, 100, [
      [0x83, 10, 50],
      [0x05, 200, 100],
    ]);
    writeRecord(disk, 300, [[0x83, 5, 20]]);
    const partitions = sectors([10, 50], [110, 50], [305, 20], [700, 100]);
    expect(readTable(disk)).toEqual({ kind: 'mbr', partitions });
  });

  test.each<[string, Entry[], Entry[], Entry[]]>([
    [
      'overlapping primaries',
      [
        [0x83, 10, 50],
        [0x83, 59, 10],
      ],
      [],
      [],
    ],
    ['a partition over the table', [[0x83, 0, 50]], [], []],
    ['a partition beyond the end', [[0x83, 990, 11]], [], []],
    ['an extended partition beyond the end', [[0x0f, 100, 901]], [], []],
    ['a logical one outside of its container', [[0x05, 100, 400]], [[0x83, 10, 391]], []],
    [
      'a chain to itself',
      [[0x05, 100, 400]],
      [
        [0x83, 10, 50],
        [0x05, 0, 100],
      ],
      [],
    ],
    [
      'a chain that goes back',
      [[0x05, 100, 400]],
      [
        [0x83, 10, 50],
        [0x05, 200, 100],
      ],
      [[0x05, 0, 100]],
    ],
    [
      'a record inside of a logical one',
      [[0x05, 100, 400]],
      [
        [0x83, 10, 250],
        [0x05, 200, 100],
      ],
      [],
    ],
    [
      'a chain that branches',
      [[0x05, 100, 400]],
      [
        [0x05, 200, 9],
        [0x05, 210, 9],
      ],
      [],
    ],
    ['a protective entry without a GPT', [[0xee, 1, 999]], [], []],
  ])('with %s is not understood', (_, primary, first, second) => {
    const disk = new Uint8Array(1000 * SECTOR);
    writeRecord(disk, 0, primary);
    if (first.length > 0) writeRecord(disk, 100, first);
    if (second.length > 0) writeRecord(disk, 300, second);
    expect(readTable(disk)).toMatchObject({ kind: 'not-understood' });
  });

  test('is not found in a boot sector without entries, or with code in their place', () => {
    const disk = new Uint8Array(1000 * SECTOR);
    expect(readTable(disk)).toEqual({ kind: 'none' });
    writeRecord(disk, 0, []);
    expect(readTable(disk)).toEqual({ kind: 'none' });
    writeRecord(disk, 0, [[0x83, 10, 50, 0x42]]);
    expect(readTable(disk)).toEqual({ kind: 'none' });
  });

  test('gives only partitions inside of the disk for any bytes', () => {
    const entry = fc.tuple(fc.constantFrom(0, 0x05, 0x83, 0xee), fc.nat(300), fc.nat(300));
    const records = fc.array(fc.tuple(fc.nat(250), fc.array(entry, { maxLength: 4 })), { maxLength: 6 });
    fc.assert(
      fc.property(records, fc.array(entry, { maxLength: 4 }), (extended, primary) => {
        const disk = new Uint8Array(256 * SECTOR);
        for (const [sector, entries] of extended) writeRecord(disk, sector, entries);
        writeRecord(disk, 0, primary);
        const table = readTable(disk);
        if (table.kind !== 'mbr') return;
        let end = SECTOR;
        for (const { offset, length } of table.partitions) {
          expect(offset).toBeGreaterThanOrEqual(end);
          expect(length).toBeGreaterThan(0);
          end = offset + length;
        }
        expect(end).toBeLessThanOrEqual(disk.length);
      }),
    );
  });
});

/** A disk with a GPT of two partitions; `change` may spoil header and table before their checksums are made. */
function gptDisk(
  change: (header: DataView, table: DataView) => void = () => {},
  sectorBytes = 512,
): Uint8Array {
  const disk = new Uint8Array(1000 * sectorBytes);
  writeRecord(disk, 0, [[0xee, 1, 0xffffffff]]);
  const header = new DataView(disk.buffer, sectorBytes, 512);
  const table = new DataView(disk.buffer, 2 * sectorBytes, 128 * 128);
  const firstUsable = 2 + (128 * 128) / sectorBytes;
  disk.set(new TextEncoder().encode('EFI PART'), sectorBytes);
  header.setUint32(8, 0x10000, true);
  header.setUint32(12, 92, true);
  header.setBigUint64(24, 1n, true);
  header.setBigUint64(40, BigInt(firstUsable), true);
  header.setBigUint64(48, 960n, true);
  header.setBigUint64(72, 2n, true);
  header.setUint32(80, 128, true);
  header.setUint32(84, 128, true);
  for (const [index, [first, last]] of (
    [
      [500n, 960n],
      [100n, 199n],
    ] as const
  ).entries()) {
    table.setUint8(index * 128, 0xaf);
    table.setBigUint64(index * 128 + 32, first, true);
    table.setBigUint64(index * 128 + 40, last, true);
  }
  change(header, table);
  header.setUint32(88, crc32(new Uint8Array(table.buffer, table.byteOffset, table.byteLength)), true);
  header.setUint32(16, crc32(new Uint8Array(header.buffer, header.byteOffset, 92)), true);
  return disk;
}

describe('a GPT partition table', () => {
  test.each([512, 4096])('gives its partitions, with sectors of %i bytes', (sectorBytes) => {
    expect(readTable(gptDisk(undefined, sectorBytes))).toEqual({
      kind: 'gpt',
      partitions: [
        { offset: 100 * sectorBytes, length: 100 * sectorBytes },
        { offset: 500 * sectorBytes, length: 461 * sectorBytes },
      ],
    });
  });

  test.each<[string, (header: DataView, table: DataView) => void]>([
    ['overlapping partitions', (_, table) => table.setBigUint64(40, 2000n, true)],
    ['a partition that ends before it starts', (_, table) => table.setBigUint64(40, 1n, true)],
    ['a partition over the table', (_, table) => table.setBigUint64(128 + 32, 3n, true)],
    ['a partition beyond what is usable', (_, table) => table.setBigUint64(40, 961n, true)],
    ['numbers beyond all disks', (_, table) => table.setBigUint64(40, 2n ** 64n - 1n, true)],
    ['an end beyond the disk', (header) => header.setBigUint64(48, 100_000n, true)],
    ['a table beyond the disk', (header) => header.setBigUint64(72, 2n ** 62n, true)],
    ['a table over the header', (header) => header.setBigUint64(72, 0n, true)],
    ['entries without end', (header) => header.setUint32(80, 0xffffffff, true)],
    ['entries of no size', (header) => header.setUint32(84, 0, true)],
    ['a header too large', (header) => header.setUint32(12, 513, true)],
    ['the place of the copy', (header) => header.setBigUint64(24, 999n, true)],
  ])('with %s is not understood', (_, change) => {
    expect(readTable(gptDisk(change))).toMatchObject({ kind: 'not-understood' });
  });

  test.each([
    ['header', 512 + 60],
    ['table', 1024 + 300],
  ])('with a wrong checksum of its %s is not understood', (_, offset) => {
    const disk = gptDisk();
    disk[offset] = 0x77;
    expect(readTable(disk)).toMatchObject({
      kind: 'not-understood',
      reason: expect.stringMatching(/checksum/),
    });
  });

  test('beside an MBR that contradicts it is not understood', () => {
    const disk = gptDisk();
    writeRecord(disk, 0, [[0x83, 100, 50]]);
    expect(readTable(disk)).toMatchObject({ kind: 'not-understood' });
    disk.fill(0, 0, 512);
    expect(readTable(disk)).toMatchObject({ kind: 'not-understood' });
  });
});

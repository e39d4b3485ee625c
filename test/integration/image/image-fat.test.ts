import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Extent, mergeTouching, subtract, totalLength } from '../../../src/extent/extents.ts';
import { fat } from '../../../src/image/file-systems/fat/fat.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { damagedReader, expectDamageNoticed } from '../../support/images/damage.ts';
import { clustersByFsck, filesInFat, makeFat, usedByMtools } from '../../support/images/fat-image.ts';
import { copyExtents, patchFile, runTool, scratchDirectory } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

async function probe(path: string) {
  await using source = await openImage(path);
  const layout = probeImage(source);
  const used = [...usedExtents(source, layout, { everyBlock: false })];
  return { region: layout.regions[0], used, sizeBytes: source.sizeBytes };
}

const variants: [name: string, options: readonly string[], sizeBytes: number][] = [
  ['FAT12', ['-F', '12'], 3 * MIB],
  ['FAT16', ['-F', '16', '-s', '4'], 12 * MIB],
  ['FAT32', ['-F', '32', '-s', '1'], 34 * MIB + 512],
  ['FAT16 with sectors of 1 KiB', ['-F', '16', '-S', '1024', '-s', '2'], 10 * MIB],
];

describeWithTools('FAT', ['mkfs.fat', 'fsck.fat', 'mcopy'], () => {
  test.each(variants)('%s: exactly the clusters of no file are left out', async (_, options, imageBytes) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeFat(path, options, imageBytes);
    const { region, used, sizeBytes } = await probe(path);
    const clusters = clustersByFsck(path);
    const byTools = usedByMtools(path);
    expect(region).toMatchObject({ kind: 'vfat', label: 'GUEST EFI', clean: true, skippable: true });
    expect(region?.usedBytes).toBe(totalLength(byTools));
    const behind = used.at(-1);
    expect(subtractAll(byTools, used)).toEqual([]);
    // The room behind the last cluster belongs to no file.
    expect(subtractAll(used, byTools).filter((piece) => end(piece) !== end(behind))).toEqual([]);
    expect(clusters.used).toBeGreaterThan(100);
    expect(totalLength(used)).toBeLessThan(sizeBytes / 2);

    const copy = join(scratch.path, 'copy');
    copyExtents(path, copy, sizeBytes, used);
    expect(clustersByFsck(copy)).toEqual(clusters);
    const files = filesInFat(path);
    expect(files.size).toBe(22);
    expect(filesInFat(copy)).toEqual(files);
  });

  test.each(variants)('%s is not misread after any damage', (_, options, imageBytes) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeFat(path, options, imageBytes);
    const image = new Uint8Array(readFileSync(path));
    expectDamageNoticed(fat, image, usedByMtools(path), placesRead(image), 0.25);
  });

  const inFat16: [what: string, damage: (path: string) => void, reason: string, clean: boolean][] = [
    ['that Linux has mounted', (path) => patch(path, 37, 1), 'it was not unmounted cleanly', false],
    ['that Windows has mounted', (path) => patchTables(path, 3, 0x7f), 'it was not unmounted cleanly', false],
    [
      'with an entry behind the end of a directory',
      (path) => patch(path, endOfRoot(path) - 32, 0x41),
      'one of its directories goes on behind its end',
      true,
    ],
    ['with noted errors', (path) => patchTables(path, 3, 0xbf), 'it has noted errors of its disk', true],
    [
      'with two tables that differ',
      (path) => patch(path, tablesOf(path)[0] + 200, 0x55),
      'the two copies of its table disagree',
      true,
    ],
    ['with a file in a free cluster', freeLastFile, 'a cluster of one of its files is marked as free', true],
    [
      'that was cut off',
      (path) => runTool('truncate', ['-s', '-1M', path]),
      'it is larger than its partition or disk',
      true,
    ],
    [
      'with clusters of another size',
      (path) => patch(path, 13, 2),
      'the size of its table and its number of clusters disagree',
      true,
    ],
    ['with one table', (path) => patch(path, 16, 1), 'it has not two copies of its table', true],
  ];
  test.each(inFat16)('FAT16 %s is moved whole', async (_, damage, reason, clean) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeFat(path, ['-F', '16', '-s', '4'], 12 * MIB);
    damage(path);
    const { region, used, sizeBytes } = await probe(path);
    expect(region).toMatchObject({ kind: 'vfat', clean, skippable: false, reason });
    expect(totalLength(used)).toBe(sizeBytes);
  });

  test.each([
    [
      'whose backup of the boot sector differs',
      6 * 512 + 44,
      'its boot sector and the backup of that disagree',
    ],
    ['with a wrong count of free clusters', 512 + 488, 'it has counted its free clusters differently'],
  ])('FAT32 %s is moved whole', async (_, offset, reason) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeFat(path, ['-F', '32', '-s', '1'], 34 * MIB);
    patch(path, offset, 0x77);
    expect((await probe(path)).region).toMatchObject({ kind: 'vfat', skippable: false, reason });
  });

  test('FAT16 without a directory is moved whole', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    runTool('mkfs.fat', ['-C', '-F', '16', path, '12288']);
    expect((await probe(path)).region).toMatchObject({
      skippable: false,
      reason: 'it has no directory that confirms where its clusters are',
    });
  });
});

function end(extent: Extent | undefined): number {
  return extent === undefined ? 0 : extent.offset + extent.length;
}

function subtractAll(from: readonly Extent[], those: readonly Extent[]): Extent[] {
  return [...subtract(from, those)];
}

function patch(path: string, offset: number, byte: number): void {
  patchFile(path, offset, new Uint8Array([byte]));
}

/** Where the root directory of FAT16 ends. */
function endOfRoot(path: string): number {
  const boot = readFileSync(path);
  const sectors = boot.readUInt16LE(14) + boot.readUInt8(16) * boot.readUInt16LE(22);
  return sectors * 512 + boot.readUInt16LE(17) * 32;
}

/** Where the tables are, by the boot sector of FAT16. */
function tablesOf(path: string): [first: number, second: number] {
  const boot = readFileSync(path).subarray(0, 512);
  const first = boot.readUInt16LE(14) * 512;
  return [first, first + boot.readUInt16LE(22) * 512];
}

function patchTables(path: string, offset: number, byte: number): void {
  for (const table of tablesOf(path)) patch(path, table + offset, byte);
}

/** Frees the first cluster of the directory `efi` in both tables. */
function freeLastFile(path: string): void {
  const [, cluster = ''] = /<(\d+)/.exec(runTool('mshowfat', ['-i', path, '::/efi'])) ?? [];
  for (const byte of [0, 1]) patchTables(path, Number(cluster) * 2 + byte, 0);
}

function placesRead(image: Uint8Array): Extent[] {
  const read = damagedReader(image, new Map());
  const places: Extent[] = [];
  const note = (offset: number, length: number): Uint8Array => {
    places.push({ offset, length });
    return read(offset, length);
  };
  expect(fat.checkUsage(note, image.length)).toMatchObject({ understood: true });
  return [...mergeTouching(places.toSorted((one, other) => one.offset - other.offset))];
}

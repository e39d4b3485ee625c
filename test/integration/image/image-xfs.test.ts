import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Extent, mergeTouching, subtract, totalLength } from '../../../src/extent/extents.ts';
import { xfs } from '../../../src/image/file-systems/xfs/xfs.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { type ImageRegion, probeImage, regionReader } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { damagedReader, expectDamageNoticed } from '../../support/images/damage.ts';
import { copyExtents, patchFile, runTool, scratchDirectory } from '../../support/images/images.ts';
import { mountingMissing } from '../../support/images/reflink-file-system.ts';
import {
  expectSoundXfs,
  filesInXfs,
  freeExtentsByXfsDb,
  liveIn,
  makeXfs,
  withMounted,
} from '../../support/images/xfs-image.ts';
import { describeUnless, describeWithTools, toolsMissing } from '../../support/programs/tools.ts';

const tools = ['mkfs.xfs', 'xfs_db', 'xfs_repair'] as const;

async function probe(path: string) {
  await using source = await openImage(path);
  const layout = probeImage(source);
  const used = [...usedExtents(source, layout, { everyBlock: false })];
  const left = [...subtract(source.dataExtents(), used)];
  return { region: layout.regions[0], used, left, sizeBytes: source.sizeBytes };
}

async function expectExactlyFree(path: string): Promise<void> {
  await using source = await openImage(path);
  const layout = probeImage(source);
  expect(layout.regions).toMatchObject([{ kind: 'xfs', clean: true, skippable: true }]);
  const whole: Extent = { offset: 0, length: source.sizeBytes };
  const left = [...subtract([whole], xfs.usedExtents(regionReader(source, 0), source.sizeBytes))];
  const { free, spareBytes } = freeExtentsByXfsDb(path);
  const listed = [...mergeTouching(free)];
  expect([...subtract(left, listed)]).toEqual([]);
  expect(totalLength(listed) - totalLength(left)).toBe(spareBytes);
  expect(layout.regions[0]?.usedBytes).toBe(whole.length - totalLength(left));
}

describeUnless(
  mountingMissing('xfs') ?? toolsMissing(...tools, 'blockdev'),
  'an XFS that a kernel has written',
  () => {
    test.each([
      ['as mkfs.xfs makes it', []],
      ['with blocks of 1 KiB and reverse mappings', ['-b', 'size=1024', '-m', 'rmapbt=1', '-d', 'agcount=2']],
      ['with sectors of 4 KiB and blocks of 16 KiB', ['-s', 'size=4096', '-b', 'size=16384']],
    ])('%s: exactly the blocks that xfs_db calls free are left out', async (_, options) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      const dirty = join(scratch.path, 'dirty');
      makeXfs(path, options, 160 * 2 ** 20);
      withMounted(path, (directory) => {
        liveIn(directory);
        runTool('sync', ['-f', directory]);
        copyFileSync(path, dirty);
      });
      const whileMounted = await probe(dirty);
      expect(whileMounted.region).toMatchObject({
        kind: 'xfs',
        clean: false,
        skippable: false,
        reason: 'its log must be replayed first',
      });
      expect(whileMounted.left).toEqual([]);

      await expectExactlyFree(path);
      const { used, left, sizeBytes } = await probe(path);
      expect(totalLength(left)).toBeGreaterThan(sizeBytes / 3);
      const copy = join(scratch.path, 'copy');
      copyExtents(path, copy, sizeBytes, used);
      expectSoundXfs(copy);
      const files = filesInXfs(path);
      expect(files.size).toBe(300);
      expect(filesInXfs(copy)).toEqual(files);
    });

    test('is not misread after any damage to its log and its trees of free space', () => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeXfs(path, ['-b', 'size=1024', '-d', 'agcount=2'], 48 * 2 ** 20);
      withMounted(path, liveIn);
      expectNoDamageMissed(path);
    });
  },
);

function expectNoDamageMissed(path: string): void {
  const image = new Uint8Array(readFileSync(path));
  const whole: Extent = { offset: 0, length: image.length };
  const used = [...subtract([whole], mergeTouching(freeExtentsByXfsDb(path).free))];
  expectDamageNoticed(xfs, image, used, placesRead(image, used), 1);
}

/** The places that the parser reads, but not all of the log: its large part is only compared with a number. */
function placesRead(image: Uint8Array, used: readonly Extent[]): Extent[] {
  const read = damagedReader(image, new Map());
  const places: Extent[] = [];
  const note = (offset: number, length: number): Uint8Array => {
    if (length <= 4096) places.push({ offset, length });
    return read(offset, length);
  };
  expect(xfs.checkUsage(note, image.length)).toMatchObject({ understood: true });
  expect(used.length).toBeGreaterThan(2);
  return [...mergeTouching(places.toSorted((one, other) => one.offset - other.offset))];
}

describeWithTools('an XFS as mkfs.xfs leaves it', tools, () => {
  test.each([
    ['version 5', []],
    ['version 4, without checksums', ['-m', 'crc=0']],
    ['version 4 with blocks of 512 bytes', ['-m', 'crc=0', '-b', 'size=512']],
    ['with blocks of 16 KiB', ['-b', 'size=16384']],
    ['with stripes in its log', ['-l', 'su=32768']],
  ])('%s: exactly the blocks that xfs_db calls free are left out', async (_, options) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeXfs(path, options);
    await expectExactlyFree(path);
  });

  test('without checksums is not misread after any damage', () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeXfs(path, ['-m', 'crc=0', '-b', 'size=512'], 40 * 2 ** 20);
    expectNoDamageMissed(path);
  });

  /** Writes a field as xfs_db(8) knows it, with a right checksum. */
  const write = (path: string, place: string, field: string): void => {
    runTool('xfs_db', ['-x', '-f', '-c', place, '-c', `write -d ${field}`, path]);
  };
  const refused: [what: string, damage: (path: string) => void, region: Partial<ImageRegion>][] = [
    [
      'needs repair',
      (path) => write(path, 'sb 0', 'features_incompat 0x1b'),
      { reason: 'it must be repaired first (xfs_repair)' },
    ],
    [
      'has unknown features',
      (path) => write(path, 'sb 0', 'features_incompat 0x10000003'),
      { reason: 'it has features that vmferry does not know' },
    ],
    [
      'is unfinished',
      (path) => write(path, 'sb 0', 'inprogress 1'),
      { reason: 'mkfs.xfs or xfs_growfs has not finished it' },
    ],
    [
      'has a realtime section',
      (path) => write(path, 'sb 0', 'rblocks 100'),
      { reason: 'it has a realtime section' },
    ],
    [
      'has its log elsewhere',
      (path) => write(path, 'sb 0', 'logstart 0'),
      { reason: 'its log is on another device' },
    ],
    [
      'has a wrong total',
      (path) => write(path, 'sb 0', 'fdblocks 17'),
      { reason: 'its total of free blocks and those of its allocation groups disagree' },
    ],
    [
      'has a wrong count in a group',
      (path) => write(path, 'agf 1', 'freeblks 17'),
      { reason: 'allocation group 1 has counted its free blocks differently' },
    ],
    [
      'has a wrong checksum',
      (path) => patchFile(path, 150, new Uint8Array([1, 2])),
      { reason: "its superblock's checksum is wrong" },
    ],
    [
      'was cut off',
      (path) => runTool('truncate', ['-s', '-1M', path]),
      { reason: 'it is larger than its partition or disk' },
    ],
  ];
  test.each(refused)('that %s is moved whole', async (_, damage, expected) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeXfs(path);
    damage(path);
    const { region, left } = await probe(path);
    expect(region).toMatchObject({ kind: 'xfs', skippable: false, ...expected });
    expect(left).toEqual([]);
  });
});

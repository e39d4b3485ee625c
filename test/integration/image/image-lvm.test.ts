import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Extent, mergeTouching, shift, subtract, totalLength } from '../../../src/extent/extents.ts';
import { checkedUsage } from '../../../src/image/file-systems/checked-usage.ts';
import { Doubt } from '../../../src/image/file-systems/doubt.ts';
import type { FileSystem } from '../../../src/image/file-systems/file-system.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { contentsOf, probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { placedInPiece } from '../../../src/image/source/mapped-reader.ts';
import { probeVolumeGroup, usedByGroup } from '../../../src/image/volume-group.ts';
import { damagedReader, expectDamageNoticed } from '../../support/images/damage.ts';
import {
  copyExtents,
  filesInExt,
  freeExtentsByDumpe2fs,
  imageTools,
  makeExtImage,
  makePartitionedDisk,
  makeSparseFile,
  placeFile,
  runTool,
  scratchDirectory,
} from '../../support/images/images.ts';
import { loopDevicesMissing } from '../../support/images/loop-device.ts';
import {
  changeMetadata,
  createVolume,
  extractVolume,
  fillVolume,
  GROUP,
  makeVolumeGroup,
  placesByPvs,
  withLvm,
} from '../../support/images/lvm-image.ts';
import { expectSoundXfs, freeExtentsByXfsDb, makeXfs } from '../../support/images/xfs-image.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const ext = { name: 'root', sizeMib: 12, options: ['-t', 'ext4', '-b', '1024', '-N', '256'] };

async function probe(path: string) {
  await using source = await openImage(path);
  const layout = probeImage(source);
  return { layout, used: [...usedExtents(source, layout, { everyBlock: false })] };
}

/** A group whose root volume is in two pieces with another volume between them, and swap space before. */
function makeGroup(path: string, directory: string): void {
  makeVolumeGroup(path, 32 * MIB, [
    ['gone', '1M'],
    ['root', '5M'],
    ['swap', '2M'],
    ['other', '1M'],
  ]);
  withLvm([path], (lvm) => {
    lvm('lvextend', '-L', '+7M', `${GROUP}/root`);
    lvm('lvremove', '-y', `${GROUP}/gone`);
  });
  const { volumes } = placesByPvs(path);
  const [root, swap] = [join(directory, 'root'), join(directory, 'swap')];
  makeExtImage(root, ext);
  makeSparseFile(swap, 2 * MIB);
  runTool('mkswap', ['-q', '-L', 'guest swap', swap]);
  fillVolume(path, volumes.get('root') ?? [], root);
  fillVolume(path, volumes.get('swap') ?? [], swap);
}

/** What the tools say is free: room of no volume, free blocks of the root volume, and the swap space behind its header. */
function freeByTools(path: string, root: string): Extent[] {
  const { volumes, unallocated } = placesByPvs(path);
  const pieces = volumes.get('root') ?? [];
  const [swap] = volumes.get('swap') ?? [];
  const free = freeExtentsByDumpe2fs(root);
  return [
    ...unallocated,
    ...pieces.flatMap((_, index) => [...placedInPiece(pieces, index, () => free)]),
    { offset: (swap?.offset ?? 0) + 4096, length: (swap?.length ?? 0) - 4096 },
  ].toSorted((one, other) => one.offset - other.offset);
}

describeUnless(
  loopDevicesMissing() ??
    toolsMissing('lvm', 'mkswap', 'sfdisk', 'mkfs.xfs', 'xfs_db', 'xfs_repair', ...imageTools),
  'a physical volume of LVM',
  () => {
    test('its volumes are looked into, and what belongs to none is left out', async () => {
      using scratch = scratchDirectory();
      const physical = join(scratch.path, 'physical');
      makeGroup(physical, scratch.path);
      const { volumes, unallocated } = placesByPvs(physical);
      expect(volumes.get('root')).toHaveLength(2);
      const disk = join(scratch.path, 'disk');
      const [partition] = makePartitionedDisk(disk, 40, 'label: gpt\nstart=2048,size=65536,type=lvm\n');
      const offset = partition?.offset ?? 0;
      placeFile(physical, disk, offset);

      const { layout, used } = await probe(disk);
      expect(layout.regions).toMatchObject([{ offset, kind: 'lvm2', skippable: true }]);
      const [region] = layout.regions;
      expect(region?.volumeGroup?.name).toBe(GROUP);
      expect(region?.volumeGroup?.unallocated).toEqual([...shift(unallocated, offset)]);
      const found = region?.volumeGroup?.volumes ?? [];
      expect(new Map(found.map(({ name, pieces }) => [name, pieces]))).toEqual(
        new Map([...volumes].map(([name, pieces]) => [name, [...shift(pieces, offset)]])),
      );
      expect(contentsOf(layout).map(({ kind, clean }) => [kind, clean])).toEqual([
        ['ext4', true],
        ['swap', true],
        ['unknown', null],
      ]);

      const root = join(scratch.path, 'root');
      const free = [...shift(freeByTools(physical, root), offset)];
      await using source = await openImage(disk);
      expect(used).toEqual([...subtract(source.dataExtents(), mergeTouching(free))]);
      expect(region?.usedBytes).toBe((region?.length ?? 0) - totalLength(free));

      const copy = join(scratch.path, 'copy');
      copyExtents(disk, copy, source.sizeBytes, used);
      const [copied, copiedRoot] = [join(scratch.path, 'copied'), join(scratch.path, 'copied-root')];
      extractVolume(copy, [{ offset, length: partition?.length ?? 0 }], copied);
      expect(placesByPvs(copied)).toEqual({ volumes, unallocated });
      extractVolume(copied, volumes.get('root') ?? [], copiedRoot);
      runTool('e2fsck', ['-fn', copiedRoot]);
      expect(filesInExt(copiedRoot)).toEqual(filesInExt(root));
    });

    test('an XFS on a volume in two pieces loses its free blocks only', async () => {
      using scratch = scratchDirectory();
      const [path, file] = [join(scratch.path, 'image'), join(scratch.path, 'xfs')];
      makeVolumeGroup(path, 48 * MIB, [
        ['root', '20M'],
        ['other', '1M'],
      ]);
      withLvm([path], (lvm) => lvm('lvextend', '-L', '40M', `${GROUP}/root`));
      const { volumes, unallocated } = placesByPvs(path);
      const pieces = volumes.get('root') ?? [];
      expect(pieces).toHaveLength(2);
      makeXfs(file, ['-b', 'size=1024', '-d', 'agcount=2'], 40 * MIB);
      fillVolume(path, pieces, file);

      const { layout, used } = await probe(path);
      expect(contentsOf(layout)).toMatchObject([{ kind: 'xfs', skippable: true }, { name: 'other' }]);
      const { free, spareBytes } = freeExtentsByXfsDb(file);
      const placed = pieces.flatMap((_, index) => [...placedInPiece(pieces, index, () => free)]);
      const left = [...subtract([{ offset: 0, length: 48 * MIB }], used)];
      expect(totalLength(left)).toBe(totalLength(placed) - spareBytes + totalLength(unallocated));
      const copy = join(scratch.path, 'copy');
      const copied = join(scratch.path, 'copied');
      copyExtents(path, copy, 48 * MIB, used);
      extractVolume(copy, pieces, copied);
      expectSoundXfs(copied);
    });

    test('with two copies of its metadata is looked into, too', async () => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeVolumeGroup(path, 8 * MIB, [['root', '2M']], '--pvmetadatacopies', '2');
      const { unallocated } = placesByPvs(path);
      const { layout, used } = await probe(path);
      expect(layout.regions).toMatchObject([{ skippable: true, volumeGroup: { unallocated } }]);
      expect(used).toEqual([...subtract([{ offset: 0, length: 8 * MIB }], unallocated)]);
    });

    const refused: [what: string, change: (path: string, directory: string) => void, reason: string][] = [
      [
        'in a group with another one',
        (path, directory) => {
          const other = join(directory, 'other');
          makeSparseFile(other, 8 * MIB);
          withLvm([path, other], (lvm, [, device = '']) => {
            lvm('pvcreate', device);
            lvm('vgextend', GROUP, device);
          });
        },
        'its volume group has other physical volumes',
      ],
      [
        'with a volume of zeros',
        (path) => withLvm([path], (lvm) => lvm('lvcreate', '-an', '--type', 'zero', '-L', '1M', GROUP)),
        'its volume group has volumes that are not linear',
      ],
      [
        'with a snapshot',
        (path) => {
          withLvm([path], (lvm) => {
            createVolume(lvm, 'cow', '1M');
          });
          const snapshot =
            'snapshot0 { id = "000000-0000-0000-0000-0000-0000-000001" status = ["READ", "WRITE", "VISIBLE"] segment_count = 1 segment1 { start_extent = 0 extent_count = 32 type = "snapshot" chunk_size = 8 origin = "root" cow_store = "cow" } }';
          changeMetadata(path, (text) => text.replace('root {', `${snapshot}\nroot {`));
        },
        'its volume group has volumes that are not linear',
      ],
      [
        'whose extents are being moved',
        (path) => {
          changeMetadata(path, (text) => text.replace('"VISIBLE"', '"VISIBLE", "LOCKED"'));
        },
        'its metadata have a mark that vmferry does not know, or something is going on',
      ],
      [
        'in no group',
        (path) =>
          withLvm([path], (lvm) => {
            lvm('vgremove', '-y', GROUP);
          }),
        'it belongs to no volume group',
      ],
      [
        'that was cut off',
        (path) => runTool('truncate', ['-s', '-1M', path]),
        'it is larger than its partition or disk',
      ],
    ];
    test.each(refused)('%s is moved whole', async (_, change, reason) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeVolumeGroup(path, 8 * MIB, [['root', '2M']]);
      expect((await probe(path)).layout.regions).toMatchObject([{ skippable: true }]);
      change(path, scratch.path);
      const { layout, used } = await probe(path);
      expect(layout.regions).toMatchObject([{ kind: 'lvm2', skippable: false, reason }]);
      await using source = await openImage(path);
      expect(used).toEqual([...source.dataExtents()]);
    });

    test('is not misread after any damage to its metadata', () => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeGroup(path, scratch.path);
      const image = new Uint8Array(readFileSync(path));
      const free = freeByTools(path, join(scratch.path, 'root'));
      const used = [...subtract([{ offset: 0, length: image.length }], mergeTouching(free))];
      expectDamageNoticed(asFileSystem, image, used, placesRead(image), 0.5);
    });
  },
);

/** A physical volume as the tests of file systems see one. */
const asFileSystem: FileSystem = {
  kinds: ['lvm2'],
  identify: () => ({ kind: 'lvm2', label: '', uuid: '', clean: true, dirtyReason: null }),
  checkUsage: (read, length) =>
    checkedUsage(() => probeVolumeGroup({ read }, { offset: 0, length }).usedBytes),
  *usedExtents(read, length) {
    const region = { offset: 0, length };
    try {
      yield* usedByGroup({ read }, region, probeVolumeGroup({ read }, region).volumeGroup);
    } catch (error) {
      if (!(error instanceof Doubt)) throw error;
      yield region;
    }
  },
  estimateUsedBytes: () => null,
};

/** The places that are read for the metadata of the group. */
function placesRead(image: Uint8Array): Extent[] {
  const read = damagedReader(image, new Map());
  const places: Extent[] = [];
  const note = (offset: number, length: number): Uint8Array => {
    if (offset < MIB && length < 16_384) places.push({ offset, length });
    return read(offset, length);
  };
  expect(asFileSystem.checkUsage(note, image.length)).toMatchObject({ understood: true });
  return [...mergeTouching(places.toSorted((one, other) => one.offset - other.offset))];
}

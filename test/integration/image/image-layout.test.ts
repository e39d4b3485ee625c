import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Extent, mergeTouching, subtract } from '../../../src/extent/extents.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { type ImageLayout, probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import {
  copyExtents,
  extVariant,
  filesInExt,
  freeExtentsByDumpe2fs,
  imageTools,
  makeExtImage,
  makePartitionedDisk,
  makeSparseFile,
  patchFile,
  placeFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

async function probe(path: string): Promise<{ layout: ImageLayout; data: Extent[]; used: Extent[] }> {
  await using source = await openImage(path);
  const layout = probeImage(source);
  return {
    layout,
    data: [...source.dataExtents()],
    used: [...usedExtents(source, layout, { everyBlock: false })],
  };
}

const tables = [
  {
    name: 'an MBR with logical partitions',
    script:
      'label: dos\nsize=100MiB,type=83,bootable\nsize=30MiB,type=82\nsize=150MiB,type=5\n5: size=100MiB,type=83\n6: size=20MiB,type=83\n',
    ext: [0, 2],
    swap: 1,
    count: 4,
  },
  {
    name: 'a GPT',
    script: 'label: gpt\nsize=2MiB\nsize=100MiB\nsize=30MiB,type=swap\nsize=100MiB\n',
    ext: [1, 3],
    swap: 2,
    count: 4,
  },
] as const;

describeWithTools('a disk with partitions', [...imageTools, 'sfdisk', 'mkswap'], () => {
  test.each(tables)('$name: only the free blocks of its file systems are left out', async (table) => {
    using scratch = scratchDirectory();
    const disk = join(scratch.path, 'disk');
    const partitions = makePartitionedDisk(disk, 300, table.script);
    const image = join(scratch.path, 'image');
    makeExtImage(image, extVariant('ext4, several groups'));
    const fileSystems = table.ext.map((index) => partitions[index] ?? { offset: 0, length: 0 });
    for (const { offset } of fileSystems) placeFile(image, disk, offset);
    const swap = join(scratch.path, 'swap');
    makeSparseFile(swap, partitions[table.swap]?.length ?? 0);
    runTool('mkswap', ['-q', '-L', 'guest swap', swap]);
    const swapHead = readFileSync(swap).subarray(0, 4096);
    patchFile(disk, partitions[table.swap]?.offset ?? 0, swapHead);

    const { layout, data, used } = await probe(disk);
    expect(layout.regions.map(({ offset, length }) => ({ offset, length }))).toEqual(partitions);
    expect(layout.regions).toHaveLength(table.count);
    expect(layout.regions[table.swap]).toMatchObject({
      kind: 'swap',
      label: 'guest swap',
      clean: true,
      usedBytes: 4096,
      skippable: true,
    });
    for (const index of table.ext)
      expect(layout.regions[index]).toMatchObject({
        kind: 'ext4',
        label: 'guest root',
        clean: true,
        skippable: true,
      });

    const swapSpace = partitions[table.swap] ?? { offset: 0, length: 0 };
    patchFile(disk, swapSpace.offset + 5 * MIB, seededBytes(7, MIB));
    const free = [
      ...fileSystems.flatMap(({ offset }) => freeExtentsByDumpe2fs(disk, offset)),
      { offset: swapSpace.offset + 4096, length: swapSpace.length - 4096 },
    ].toSorted((first, second) => first.offset - second.offset);
    expect(used).toEqual([...subtract(data, mergeTouching(free))]);

    const copy = join(scratch.path, 'copy');
    copyExtents(disk, copy, 300 * MIB, used);
    expect(JSON.parse(runTool('sfdisk', ['--json', copy]).replaceAll(copy, disk))).toEqual(
      JSON.parse(runTool('sfdisk', ['--json', disk])),
    );
    for (const { offset } of fileSystems) {
      runTool('e2fsck', ['-fn', `${copy}?offset=${offset}`]);
      expect(filesInExt(copy, offset)).toEqual(filesInExt(disk, offset));
    }
  });

  test('nothing is skipped if a table was written over an older file system', async () => {
    using scratch = scratchDirectory();
    const disk = join(scratch.path, 'disk');
    makeExtImage(disk, extVariant('ext4, 1 KiB'));
    runTool('sfdisk', ['-q', '--no-reread', '--wipe', 'never', disk], 'label: dos\nsize=20MiB,type=83\n');
    const { layout, data, used } = await probe(disk);
    expect(layout.regions).toMatchObject([
      {
        offset: 0,
        kind: 'ambiguous',
        skippable: false,
        reason: 'it has the signatures of ext4 and of a partition table',
      },
    ]);
    expect(used).toEqual(data);
  });

  test('nothing is skipped if the table reaches beyond the end of a truncated image', async () => {
    using scratch = scratchDirectory();
    const disk = join(scratch.path, 'disk');
    makePartitionedDisk(disk, 100, 'label: dos\nsize=40MiB,type=83\nsize=40MiB,type=83\n');
    runTool('truncate', ['-s', '70M', disk]);
    expect((await probe(disk)).layout.regions).toMatchObject([
      { kind: 'partition-table', skippable: false, reason: 'its partitions reach beyond the allowed range' },
    ]);
  });
});

describeWithTools('a stale ext superblock', [...imageTools, 'mkfs.xfs'], () => {
  test('in an XFS file system is not trusted', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, 400 * MIB);
    runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', path]);
    const stale = readFileSync(path).subarray(1024, 2048);
    runTool('mkfs.xfs', ['-q', '-f', '-L', 'data', path]);
    expect((await probe(path)).layout.regions).toMatchObject([
      { kind: 'xfs', label: 'data', clean: true, skippable: true },
    ]);
    patchFile(path, 1024, stale);
    const { layout, data, used } = await probe(path);
    expect(layout.regions).toMatchObject([
      {
        kind: 'ambiguous',
        clean: null,
        skippable: false,
        reason: 'it has the signatures of ext4 and of xfs',
      },
    ]);
    expect(used).toEqual(data);
  });

  test('over swap space is not trusted', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeExtImage(path, extVariant('ext3, 1 KiB'));
    patchFile(path, 4086, Buffer.from('SWAPSPACE2'));
    expect((await probe(path)).layout.regions).toMatchObject([{ kind: 'ambiguous', skippable: false }]);
  });
});

import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { countedUsedBytes } from '../../../src/image/file-systems/ext/counts.ts';
import { type Extent, mergeTouching, subtract } from '../../../src/extent/extents.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { type ImageLayout, probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { poll } from '../../../src/pipeline/polling.ts';
import {
  copyExtents,
  filesInExt,
  freeExtentsByDumpe2fs,
  makeGarbageFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from '../../support/images/loop-device.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

async function probe(path: string): Promise<{ layout: ImageLayout; data: Extent[]; used: Extent[] }> {
  await using source = await openImage(path);
  const layout = probeImage(source);
  const used = [...usedExtents(source, layout, { everyBlock: false })];
  return { layout, data: [...source.dataExtents()], used };
}

/** The bytes in use by the counts of its block groups. */
async function countedBytes(path: string): Promise<number | null> {
  await using source = await openImage(path);
  return countedUsedBytes((offset, length) => source.read(offset, length), source.sizeBytes);
}

/** Writes and removes files of all sizes, as a guest does. */
function live(directory: string): void {
  const pathOf = (index: number): string => join(directory, `file-${index}`);
  for (let index = 0; index < 300; index++)
    writeFileSync(pathOf(index), seededBytes(index + 1, (index * 12_007) % 200_000));
  for (let index = 0; index < 300; index += 3) rmSync(pathOf(index));
  for (let index = 300; index < 350; index++) writeFileSync(pathOf(index), seededBytes(index, 300_000));
}

describeUnless(loopDevicesMissing(), 'a file system that a kernel has written', () => {
  test.each([
    ['ext2', []],
    ['ext3', ['-b', '1024']],
    ['ext4', []],
    ['ext4', ['-b', '1024', '-O', '^metadata_csum,uninit_bg']],
    ['ext4', ['-b', '1024', '-O', 'bigalloc', '-C', '4096', '-N', '4096']],
    ['ext4', ['-O', 'orphan_file,mmp']],
  ])('%s %j: is not clean while mounted, and is understood afterwards', async (type, options) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeGarbageFile(path, 200 * MIB);
    runTool('mke2fs', ['-q', '-F', '-E', 'nodiscard', '-t', type, ...options, path]);
    const directory = join(scratch.path, 'mounted');
    mkdirSync(directory);
    let countedLive: number | null = null;
    {
      using device = attachLoopDevice(path);
      using _mounted = mountDevice(device.path, directory);
      live(directory);
      runTool('sync', ['-f', directory]);
      const { layout, data, used } = await probe(path);
      expect(layout.regions).toMatchObject([{ kind: type, clean: false, skippable: false }]);
      expect(used).toEqual(data);
      // The kernel may have written the counts to its journal only. It writes them to the groups with a later commit.
      const { bsize, bfree } = statfsSync(directory);
      const isCounted = async () => {
        runTool('sync', ['-f', directory]);
        countedLive = await countedBytes(path);
        return Math.abs((countedLive ?? 0) - (200 * MIB - bfree * bsize)) < MIB;
      };
      await poll(isCounted, { timeoutMs: 30_000, intervalMs: 100, signal: new AbortController().signal });

      runTool('mount', ['-o', 'remount,ro', directory]);
      expect((await probe(path)).layout.regions).toMatchObject([
        { kind: type, clean: true, skippable: true },
      ]);
    }
    const { layout, data, used } = await probe(path);
    expect(layout.regions).toMatchObject([{ kind: type, clean: true, skippable: true }]);
    // The counts gave about the same number while it was mounted.
    const usedBytes = layout.regions[0]?.usedBytes ?? 0;
    expect(Math.abs((countedLive ?? 0) - usedBytes)).toBeLessThan(0.1 * usedBytes);
    expect(used).toEqual([...subtract(data, mergeTouching(freeExtentsByDumpe2fs(path)))]);

    const copy = join(scratch.path, 'copy');
    copyExtents(path, copy, 200 * MIB, used);
    runTool('e2fsck', ['-fn', copy]);
    expect(filesInExt(copy)).toEqual(filesInExt(path));
  });
});

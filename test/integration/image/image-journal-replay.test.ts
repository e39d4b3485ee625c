import { copyFileSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { subtract } from '../../../src/extent/extents.ts';
import { cloneImage, type FileBeside } from '../../../src/image/clones/clone.ts';
import { replayJournals } from '../../../src/image/clones/journal-replay.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { probeImage, type ImageRegion } from '../../../src/image/probe.ts';
import { attachLoopDevice, mountDevice } from '../../support/images/loop-device.ts';
import {
  filesInExt,
  makePartitionedDisk,
  makeSparseFile,
  patchFile,
  placeFile,
  runTool,
  seededBytes,
  setSuperblockFields,
} from '../../support/images/images.ts';
import { mountingMissing, mountNew } from '../../support/images/reflink-file-system.ts';
import {
  extractVolume,
  fillVolume,
  GROUP,
  makeVolumeGroup,
  placesByPvs,
  withLvm,
} from '../../support/images/lvm-image.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

const { signal } = new AbortController();
const MIB = 2 ** 20;

async function regionsOf(path: string): Promise<readonly ImageRegion[]> {
  await using image = await openImage(path);
  return probeImage(image).regions;
}

/** Makes an image like that of a running guest: its last files are only in the journal. */
function makeLiveImage(path: string, directory: string, options: readonly string[] = ['-t', 'ext4']): void {
  const original = `${path}.mounted`;
  const point = join(directory, 'point');
  mkdirSync(point, { recursive: true });
  makeSparseFile(original, 32 * MIB);
  runTool('mke2fs', ['-q', '-F', ...options, original]);
  {
    using device = attachLoopDevice(original);
    using _mounted = mountDevice(device.path, point);
    for (let index = 0; index < 20; index++)
      writeFileSync(join(point, `file-${index}`), seededBytes(index + 1, index * 10_000));
    runTool('sync', ['-f', point]);
    copyFileSync(original, path);
  }
  runTool('rm', [original]);
}

function expectNothingElse(directory: string, clone: FileBeside): void {
  const clones = readdirSync(directory).filter((name) => name.endsWith('.clone'));
  expect(clones.map((name) => join(directory, name))).toEqual([clone.path]);
}

describeUnless(mountingMissing('xfs') ?? toolsMissing('lvm'), 'replaying the journal of a clone', () => {
  test.each([
    ['ext3', ['-t', 'ext3']],
    ['ext4', ['-t', 'ext4']],
    ['ext4 with 1 KiB blocks', ['-t', 'ext4', '-b', '1024']],
  ])('makes it clean and its files whole, and does not change the image: %s', async (_, options) => {
    using mounted = mountNew('xfs');
    const image = join(mounted.path, 'guest.img');
    makeLiveImage(image, mounted.path, options);
    const before = readFileSync(image);
    expect(await regionsOf(image)).toEqual([expect.objectContaining({ clean: false, skippable: false })]);
    using clone = cloneImage(image);
    expect(await replayJournals(clone, signal)).toEqual([]);
    expect(await regionsOf(clone.path)).toEqual([expect.objectContaining({ clean: true, skippable: true })]);
    runTool('e2fsck', ['-fn', clone.path]);
    expect(filesInExt(clone.path).size).toBe(20);
    expect(statSync(clone.path).size).toBe(32 * MIB);
    expect(readFileSync(image).equals(before)).toBe(true);
    expectNothingElse(mounted.path, clone);
  });

  test('works in each partition, and names those in which it failed', async () => {
    using mounted = mountNew('xfs');
    const live = join(mounted.path, 'live.img');
    makeLiveImage(live, mounted.path);
    const image = join(mounted.path, 'guest.img');
    const script = 'start=2048, size=65536\nstart=70001, size=65536\nstart=137216, size=65536\n';
    const partitions = makePartitionedDisk(image, 104, script);
    for (const { offset } of partitions) placeFile(live, image, offset);
    using clone = cloneImage(image);
    const problems = await replayJournals(clone, signal);
    expect(problems).toEqual([expect.stringContaining(`at byte ${70_001 * 512}`)]);
    expect((await regionsOf(clone.path)).map(({ clean, skippable }) => [clean, skippable])).toEqual([
      [true, true],
      [false, false],
      [true, true],
    ]);
    for (const index of [0, 2]) expect(filesInExt(clone.path, partitions[index]?.offset).size).toBe(20);
    // The table, the gaps and the failed partition are unchanged.
    const [old, now] = [readFileSync(image), readFileSync(clone.path)];
    for (const [from, to] of [
      [0, 1],
      [33, 67],
      [99, 104],
    ] as const)
      expect(now.subarray(from * MIB, to * MIB).equals(old.subarray(from * MIB, to * MIB))).toBe(true);
  });

  test('works in a logical volume that is in two pieces', async () => {
    using mounted = mountNew('xfs');
    const live = join(mounted.path, 'live.img');
    makeLiveImage(live, mounted.path);
    const image = join(mounted.path, 'guest.img');
    makeVolumeGroup(image, 48 * MIB, [
      ['root', '20M'],
      ['other', '1M'],
    ]);
    withLvm([image], (lvm) => lvm('lvextend', '-L', '32M', `${GROUP}/root`));
    const pieces = placesByPvs(image).volumes.get('root') ?? [];
    expect(pieces).toHaveLength(2);
    fillVolume(image, pieces, live);
    using clone = cloneImage(image);
    expect(await replayJournals(clone, signal)).toEqual([]);
    expect(await regionsOf(clone.path)).toMatchObject([
      { volumeGroup: { volumes: [{ name: 'root', clean: true, skippable: true }, { name: 'other' }] } },
    ]);
    const root = join(mounted.path, 'root.img');
    extractVolume(clone.path, pieces, root);
    runTool('e2fsck', ['-fn', root]);
    expect(filesInExt(root).size).toBe(20);
    const gap = [...subtract([{ offset: 0, length: 48 * MIB }], pieces)];
    for (const { offset, length } of gap)
      expect(
        readFileSync(clone.path)
          .subarray(offset, offset + length)
          .equals(readFileSync(image).subarray(offset, offset + length)),
      ).toBe(true);
  });

  test('changes nothing when it fails', async () => {
    using mounted = mountNew('xfs');
    const image = join(mounted.path, 'guest.img');
    makeLiveImage(image, mounted.path);
    // Overwrites the journal's own inode.
    const journalInode = Number(/^Journal inode: +(\d+)$/m.exec(runTool('dumpe2fs', ['-h', image]))?.[1]);
    const located = /block (\d+), offset 0x([0-9a-f]+)/.exec(
      runTool('debugfs', ['-R', `imap <${journalInode}>`, image]),
    );
    const blockBytes = Number(/^Block size: +(\d+)$/m.exec(runTool('dumpe2fs', ['-h', image]))?.[1]);
    patchFile(
      image,
      Number(located?.[1]) * blockBytes + Number.parseInt(located?.[2] ?? '', 16),
      Buffer.alloc(128, 0x5a),
    );
    using clone = cloneImage(image);
    expect(await replayJournals(clone, signal)).toEqual([expect.stringContaining('e2fsck')]);
    expect(readFileSync(clone.path).equals(readFileSync(image))).toBe(true);
    expectNothingElse(mounted.path, clone);
  });

  test('is not tried on a file system with recorded errors', async () => {
    using mounted = mountNew('xfs');
    const image = join(mounted.path, 'guest.img');
    makeLiveImage(image, mounted.path);
    setSuperblockFields(image, { state: '3' });
    using clone = cloneImage(image);
    expect(await replayJournals(clone, signal)).toEqual([]);
    expect(readFileSync(clone.path).equals(readFileSync(image))).toBe(true);
  });

  test('says that e2fsck is missing, and stops when aborted', async () => {
    using mounted = mountNew('xfs');
    const image = join(mounted.path, 'guest.img');
    makeLiveImage(image, mounted.path);
    using clone = cloneImage(image);
    const missing = await replayJournals(clone, signal, { PATH: join(mounted.path, 'point') });
    expect(missing).toEqual([expect.stringContaining('not installed')]);
    expect(await regionsOf(clone.path)).toEqual([expect.objectContaining({ clean: false })]);
    const reason = new Error('enough');
    await expect(replayJournals(clone, AbortSignal.abort(reason))).rejects.toBe(reason);
    expectNothingElse(mounted.path, clone);
  });
});

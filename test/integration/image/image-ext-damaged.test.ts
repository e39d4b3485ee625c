import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '../../../src/codec/crc.ts';
import { type Extent, mergeTouching, subtract } from '../../../src/extent/extents.ts';
import type { ReadAt } from '../../../src/image/source/read-at.ts';
import { ext } from '../../../src/image/file-systems/ext/ext.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { type ImageRegion, probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { changesAt, damagedReader, expectNothingMissed, mutationsOf } from '../../support/images/damage.ts';
import {
  copyImage,
  extVariant,
  freeExtentsByDumpe2fs,
  imageTools,
  makeExtImage,
  patchFile,
  runTool,
  scratchDirectory,
  setFeatures,
  setSuperblockFields,
} from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

/** The places in the image of the metadata that the parser reads. */
interface Places {
  superblock: Extent[];
  descriptors: Extent[];
  bitmaps: Extent[];
}

function findPlaces(path: string): Places {
  const listing = runTool('dumpe2fs', [path]);
  const blockBytes = Number(/^Block size: +(\d+)/m.exec(listing)?.[1]);
  const extent = (first: string, last = first): Extent => ({
    offset: Number(first) * blockBytes,
    length: (Number(last) - Number(first) + 1) * blockBytes,
  });
  const primary = /Primary superblock at \d+, Group descriptors? at (\d+)(?:-(\d+))?/.exec(listing);
  return {
    superblock: [{ offset: 1024, length: 1024 }],
    descriptors: [extent(primary?.[1] ?? '', primary?.[2])],
    bitmaps: [...listing.matchAll(/Block bitmap at (\d+)/g)].map(([, block = '']) => extent(block)),
  };
}

/**
 * `bitmaps` tells which damage to bitmaps must be noticed: all damage if they have CRC-32C; otherwise one flipped bit,
 * because only e2fsck notices damage that keeps the count of free bits.
 */
const fuzzed = [
  { name: 'ext2, 1 KiB', bitmaps: 'one bit' },
  { name: 'ext3, 1 KiB', bitmaps: 'one bit' },
  { name: 'ext3, 1 KiB, a short last group', bitmaps: 'one bit' },
  { name: 'ext4, no checksums', bitmaps: 'one bit' },
  { name: 'ext4, uninit_bg', bitmaps: 'one bit' },
  { name: 'ext4, sparse_super2, uninit_bg', bitmaps: 'one bit' },
  { name: 'ext4, 1 KiB', bitmaps: 'all' },
  { name: 'ext4, bigalloc, 4 KiB', bitmaps: 'all' },
  { name: 'ext4, 64 KiB', bitmaps: 'all' },
] as const;

describeWithTools('damaged metadata of ext2, ext3 and ext4', imageTools, () => {
  test.each(fuzzed)('$name: no block in use is skipped after any flipped bits', ({ name, bitmaps }) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeExtImage(path, extVariant(name));
    const image = new Uint8Array(readFileSync(path));
    const used = [
      ...subtract([{ offset: 0, length: image.length }], mergeTouching(freeExtentsByDumpe2fs(path))),
    ];
    const places = findPlaces(path);
    const check = (changes: ReadonlyMap<number, number>): void => {
      expectNothingMissed(ext, damagedReader(image, changes), image.length, used);
    };
    check(new Map());
    const runs = (usual: number) => mutationsOf(usual, usual / 1550 / fuzzed.length);
    fc.assert(fc.property(changesAt(places.superblock, 'bits', 1), check), runs(400));
    fc.assert(fc.property(changesAt(places.superblock, 'bytes', 8), check), runs(150));
    fc.assert(fc.property(changesAt(places.descriptors, 'bits', 1), check), runs(400));
    fc.assert(fc.property(changesAt(places.descriptors, 'bytes', 8), check), runs(150));
    fc.assert(fc.property(changesAt(places.bitmaps, 'bits', 1), check), runs(300));
    if (bitmaps === 'all') fc.assert(fc.property(changesAt(places.bitmaps, 'bytes', 8), check), runs(150));
  });

  test('hostile superblocks with right checksums cause no crash, no hang, and no read outside of the image', () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeExtImage(path, extVariant('ext4, 1 KiB'));
    const image = new Uint8Array(readFileSync(path));
    const number = fc.oneof(
      fc.constantFrom(0, 1, 2, 7, 8, 255, 256, 0x7fffffff, 0xffffffff),
      fc.nat(0xffffffff),
    );
    const fields = fc.array(
      fc.tuple(
        fc.nat(0x3f8 / 4).map((index) => index * 4),
        number,
      ),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(fields, (assigned) => {
        const superblock = image.slice(1024, 2048);
        const view = new DataView(superblock.buffer);
        for (const [offset, value] of assigned) view.setUint32(offset, value, true);
        view.setUint16(0x38, 0xef53, true);
        view.setUint32(0x3fc, crc32c(0xffffffff, superblock.subarray(0, 0x3fc)), true);
        const read: ReadAt = (offset, length) => {
          const bytes = damagedReader(image, new Map())(offset, length);
          if (offset === 1024) bytes.set(superblock.subarray(0, length));
          return bytes;
        };
        expectNothingMissed(ext, read, image.length, []);
      }),
      mutationsOf(2000, 0.1),
    );
  });
});

describeWithTools('file systems whose free blocks are not skipped', imageTools, () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  let sound: string;
  beforeAll(() => {
    scratch = scratchDirectory();
    sound = join(scratch.path, 'sound');
    makeExtImage(sound, extVariant('ext4, 1 KiB'));
  });
  afterAll(() => {
    scratch[Symbol.dispose]();
  });

  /** Probes a copy of the image after `change`, and checks that all of its data is read. */
  async function regionAfter(change: (path: string) => void): Promise<ImageRegion | undefined> {
    const path = copyImage(sound, join(scratch.path, 'copy'));
    change(path);
    await using source = await openImage(path);
    const layout = probeImage(source);
    expect([...usedExtents(source, layout, { everyBlock: false })]).toEqual([...source.dataExtents()]);
    return layout.regions[0];
  }

  test('a journal that must be replayed', async () => {
    const region = await regionAfter((path) => {
      setFeatures(path, 'needs_recovery');
    });
    expect(region).toMatchObject({
      kind: 'ext4',
      clean: false,
      usedBytes: null,
      skippable: false,
      reason: 'its journal must be replayed first',
    });
  });

  test.each([
    ['not unmounted', { state: '0' }, 'it was not unmounted cleanly'],
    ['in error', { state: '3' }, 'it has recorded errors (e2fsck repairs them)'],
    ['with recorded errors', { error_count: '2' }, 'it has recorded errors (e2fsck repairs them)'],
  ])('%s', async (_, fields, reason) => {
    const region = await regionAfter((path) => {
      setSuperblockFields(path, fields);
    });
    expect(region).toMatchObject({ clean: false, skippable: false, reason });
  });

  test('deleted files that must be cleaned up first', async () => {
    const region = await regionAfter((path) => {
      setFeatures(path, 'FEATURE_R16');
    });
    expect(region).toMatchObject({ clean: false, skippable: false });
  });

  test.each(['FEATURE_C13', 'FEATURE_I20', 'FEATURE_R20', 'FEATURE_R7', 'FEATURE_R14', 'FEATURE_I0'])(
    'an unknown feature: %s',
    async (feature) => {
      const region = await regionAfter((path) => {
        setFeatures(path, feature);
      });
      expect(region).toMatchObject({
        skippable: false,
        reason: 'it has features that vmferry does not know',
      });
    },
  );

  test.each([
    ['a total of free blocks that is wrong', { free_blocks_count: '17' }, /total of free blocks/],
    ['more blocks than there is room', { blocks_count: '99999999' }, /larger than its partition/],
  ])('%s', async (_, fields, reason) => {
    const region = await regionAfter((path) => {
      setSuperblockFields(path, fields);
    });
    expect(region).toMatchObject({ clean: true, skippable: false, reason: expect.stringMatching(reason) });
  });

  test('a checksum that is wrong', async () => {
    const region = await regionAfter((path) => {
      patchFile(path, 1024 + 0x3fc, new Uint8Array([1, 2, 3, 4]));
    });
    expect(region).toMatchObject({ skippable: false, reason: "its superblock's checksum is wrong" });
  });

  test('an image that was cut off', async () => {
    const region = await regionAfter((path) => {
      runTool('truncate', ['-s', '-1M', path]);
    });
    expect(region).toMatchObject({ skippable: false, reason: 'it is larger than its partition or disk' });
  });

  /** Marks a block of the first group's inode table as free. */
  function freeInodeTableBlock(path: string, alsoCount: boolean): void {
    const listing = runTool('dumpe2fs', [path]);
    const [, table = ''] = /Inode table at (\d+)/.exec(listing) ?? [];
    const [, ofGroup = ''] = /(\d+) free blocks, /.exec(listing) ?? [];
    const [, ofAll = ''] = /^Free blocks: +(\d+)/m.exec(listing) ?? [];
    const commands = [`freeb ${Number(table) + 2}`];
    if (alsoCount)
      commands.push(
        `set_block_group 0 free_blocks_count ${Number(ofGroup) + 1}`,
        'set_block_group 0 checksum calc',
        `set_super_value free_blocks_count ${Number(ofAll) + 1}`,
      );
    runTool('debugfs', ['-w', '-f', '-', path], `${commands.join('\n')}\n`);
  }

  test('a bitmap and a count that disagree, with all checksums right', async () => {
    const region = await regionAfter((path) => {
      freeInodeTableBlock(path, false);
    });
    expect(region).toMatchObject({
      skippable: false,
      reason: 'the bitmap of block group 0 and its count of free blocks disagree',
    });
  });

  test('metadata marked as free, with all checksums and counts right', async () => {
    const region = await regionAfter((path) => {
      freeInodeTableBlock(path, true);
    });
    expect(region).toMatchObject({
      skippable: false,
      reason: 'the metadata of block group 0 are marked as free',
    });
  });
});

import { closeSync, openSync, readSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { hasComparablePlaces, placedExtents } from '../../../src/image/clones/placed-extents.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { mappedExtents, type MappedExtent } from '../../../src/system/extent-map.ts';
import { makeSparseFile, patchFile, runTool, seededBytes } from '../../support/images/images.ts';
import { mountingMissing, mountNew } from '../../support/images/reflink-file-system.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const BLOCK = 4096;

function extentsOf(path: string): MappedExtent[] {
  const fd = openSync(path, 'r');
  try {
    return [...mappedExtents(fd, statSync(path).size)];
  } finally {
    closeSync(fd);
  }
}

for (const kind of ['xfs', 'btrfs'] as const)
  describeUnless(mountingMissing(kind), `the extents of a file on ${kind}`, () => {
    test('are complete and in order, also just after a write, and end with the file', () => {
      using mounted = mountNew(kind);
      const path = join(mounted.path, 'file');
      // More extents than one call asks for.
      const count = 2500;
      makeSparseFile(path, 2 * count * BLOCK);
      for (let index = 0; index < count; index++)
        patchFile(path, 2 * index * BLOCK, seededBytes(index + 1, BLOCK));
      truncateSync(path, 2 * count * BLOCK - BLOCK - 512);
      const extents = extentsOf(path);
      expect(extents.map(({ offset }) => offset)).toEqual(
        Array.from({ length: count }, (_, index) => 2 * index * BLOCK),
      );
      expect(new Set(extents.map(({ place }) => place)).size).toBe(count);
      expect(extents.map(({ length }) => length)).toEqual([
        ...Array.from({ length: count - 1 }, () => BLOCK),
        BLOCK - 512,
      ]);
      expect(extents).not.toContainEqual(expect.objectContaining({ place: null }));
    });

    test('have no place if nothing was written to them yet', async () => {
      using mounted = mountNew(kind);
      expect(hasComparablePlaces(mounted.path)).toBe(true);
      const path = join(mounted.path, 'file');
      runTool('fallocate', ['-l', String(64 * BLOCK), path]);
      expect(extentsOf(path)).toEqual([{ offset: 0, length: 64 * BLOCK, place: null }]);
      await using image = await openImage(path);
      expect([...placedExtents(image)]).toEqual([]);
      patchFile(path, 8 * BLOCK, seededBytes(1, 2 * BLOCK));
      expect([...placedExtents(image)]).toEqual([
        { offset: 8 * BLOCK, length: 2 * BLOCK, place: expect.any(Number) },
      ]);
    });
  });

describeUnless(mountingMissing('xfs'), 'the place of an extent on xfs', () => {
  test('is the offset of its bytes on the disk', () => {
    using mounted = mountNew('xfs');
    const path = join(mounted.path, 'file');
    const bytes = seededBytes(7, 64 * BLOCK);
    writeFileSync(path, bytes);
    const disk = openSync(runTool('findmnt', ['-no', 'SOURCE', mounted.path]).trim(), 'r');
    for (const { offset, length, place } of extentsOf(path)) {
      const found = Buffer.alloc(length);
      readSync(disk, found, 0, length, place);
      expect(found.equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    closeSync(disk);
  });
});

describeUnless(mountingMissing('ext4'), 'places on ext4', () => {
  test('are not compared, because there are no clones', () => {
    using mounted = mountNew('ext4');
    expect(hasComparablePlaces(mounted.path)).toBe(false);
    expect(hasComparablePlaces(join(mounted.path, 'not there'))).toBe(false);
  });
});

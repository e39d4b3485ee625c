import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Extent, mergeTouching, subtract, totalLength } from '../../../src/extent/extents.ts';
import { ntfs } from '../../../src/image/file-systems/ntfs/ntfs.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { damagedReader, expectDamageNoticed } from '../../support/images/damage.ts';
import { copyExtents, patchFile, runTool, scratchDirectory } from '../../support/images/images.ts';
import {
  expectSoundNtfs,
  filesInNtfs,
  makeNtfs,
  ntfsMountingMissing,
  usedByBitmap,
  withNtfsMounted,
} from '../../support/images/ntfs-image.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const CLUSTER = 4096;

async function probe(path: string) {
  await using source = await openImage(path);
  const layout = probeImage(source);
  const used = [...usedExtents(source, layout, { everyBlock: false })];
  return { region: layout.regions[0], used, sizeBytes: source.sizeBytes };
}

const variants: [name: string, options: readonly string[], sizeBytes: number][] = [
  ['as mkntfs makes it', [], 12 * MIB],
  ['with clusters of 512 bytes', ['-c', '512'], 8 * MIB],
  ['with clusters of 64 KiB', ['-c', '65536'], 24 * MIB],
  ['with sectors of 4 KiB', ['-s', '4096'], 12 * MIB],
];

describeUnless(
  ntfsMountingMissing() ?? toolsMissing('mkntfs', 'ntfs-3g', 'ntfscat', 'ntfsinfo', 'ntfsresize', 'umount'),
  'NTFS',
  () => {
    test.each(variants)(
      '%s: exactly the clusters that its bitmap calls free are left out',
      async (_, options, size) => {
        using scratch = scratchDirectory();
        const path = join(scratch.path, 'image');
        makeNtfs(path, options, size);
        const { region, used, sizeBytes } = await probe(path);
        expect(region).toMatchObject({ kind: 'ntfs', clean: true, skippable: true });
        const byTools = usedByBitmap(path);
        expect(region?.usedBytes).toBe(totalLength(byTools));
        expect([...subtract(byTools, used)]).toEqual([]);
        // The copy of the boot sector is behind the last cluster.
        const more = [...subtract(used, byTools)];
        expect(more).toHaveLength(1);
        expect(more[0]?.length).toBeLessThanOrEqual(65_536);
        expect(totalLength(used)).toBeLessThan(sizeBytes * 0.75);

        const copy = join(scratch.path, 'copy');
        copyExtents(path, copy, sizeBytes, used);
        expectSoundNtfs(copy);
        const files = filesInNtfs(path);
        expect(files.size).toBe(31);
        expect(filesInNtfs(copy)).toEqual(files);
      },
    );

    test('is not misread after any damage', () => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeNtfs(path, [], 8 * MIB);
      const image = new Uint8Array(readFileSync(path));
      expectDamageNoticed(ntfs, image, usedByBitmap(path), placesRead(image));
    });

    const refused: [what: string, change: (path: string) => void, clean: boolean, reason: string][] = [
      [
        'whose journal says that Windows keeps metadata elsewhere',
        (path) => {
          restartPages(path, 2, 2);
        },
        false,
        'Windows may keep some of its metadata elsewhere',
      ],
      [
        'whose journal is in use',
        (path) => {
          restartPages(path, 0);
        },
        false,
        'its journal must be replayed first',
      ],
      [
        'that is marked as not clean',
        (path) => {
          patchFile(path, placeOf(path, volumeFlags), new Uint8Array([1]));
          // The record is there twice.
          patchFile(path, placeOf(path, volumeFlags, 1), new Uint8Array([1]));
        },
        false,
        'it was not unmounted cleanly, or must be checked first',
      ],
      [
        'into which Windows has hibernated',
        (path) =>
          withNtfsMounted(path, (directory) => {
            writeFileSync(join(directory, 'hiberfil.sys'), `HIBR${'x'.repeat(CLUSTER)}`);
          }),
        false,
        'Windows has hibernated in it',
      ],
      [
        'with a file in a free cluster',
        (path) => {
          markFree(path, firstClusterOf(path, 2));
        },
        true,
        'a cluster of one of its files is marked as free',
      ],
      [
        'whose boot sector is marked as free',
        (path) => {
          markFree(path, 0);
        },
        true,
        'its boot sector or its master file table is marked as free',
      ],
      [
        'with another copy of its boot sector',
        (path) => {
          patchFile(path, 12 * MIB - 512 + 48, new Uint8Array([9]));
        },
        true,
        'its boot sector and the copy of that disagree',
      ],
      [
        'that was cut off',
        (path) => {
          truncateSync(path, 11 * MIB);
        },
        true,
        'it is larger than its partition or disk',
      ],
    ];
    test.each(refused)('%s is moved whole', async (_, change, clean, reason) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeNtfs(path, [], 12 * MIB);
      change(path);
      const { region, used, sizeBytes } = await probe(path);
      expect(region).toMatchObject({ kind: 'ntfs', clean, skippable: false, reason });
      expect(totalLength(used)).toBe(sizeBytes);
    });

    test.each([
      ['that Windows has left is looked into', 2, true],
      ['that Windows has not left is moved whole', 0, false],
    ])('with a journal %s', async (_, flags, skippable) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeNtfs(path, [], 12 * MIB);
      restartPages(path, flags);
      expect((await probe(path)).region).toMatchObject({ skippable });
    });

    test('whose hibernation has ended is looked into', async () => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeNtfs(path, [], 12 * MIB);
      withNtfsMounted(path, (directory) => {
        writeFileSync(join(directory, 'hiberfil.sys'), Buffer.alloc(2 * CLUSTER));
      });
      expect((await probe(path)).region).toMatchObject({ skippable: true });
    });
  },
);

/** The offset of the volume's flags in the value of its attribute. */
const volumeFlags = 10;

/** Where a byte of $Volume's attribute with its flags is in the image: record 3, in the table or in its mirror. */
function placeOf(path: string, at: number, copy: 0 | 1 = 0): number {
  const image = readFileSync(path);
  const cluster = Number(image.readBigUInt64LE(copy === 0 ? 48 : 56));
  const record = cluster * CLUSTER + 3 * 1024;
  for (
    let attribute = record + image.readUInt16LE(record + 20);
    ;
    attribute += image.readUInt32LE(attribute + 4)
  )
    if (image.readUInt32LE(attribute) === 0x70) return attribute + image.readUInt16LE(attribute + 20) + at;
}

/** The first cluster of the content of one of the file system's own files, by ntfsinfo(8). */
function firstClusterOf(path: string, inode: number): number {
  const described = runTool('ntfsinfo', ['-f', '-v', '-i', String(inode), path]);
  const data = described.slice(described.indexOf('$DATA'));
  return Number(/Runlist:.*\n\s+0x0\s+(0x[0-9a-f]+)/.exec(data)?.[1]);
}

/** Clears the bit of a cluster in $Bitmap. */
function markFree(path: string, cluster: number): void {
  const at = firstClusterOf(path, 6) * CLUSTER + (cluster >> 3);
  patchFile(path, at, new Uint8Array([(readFileSync(path)[at] ?? 0) & ~(1 << (cluster & 7))]));
}

/** Writes two restart pages as Windows has them while a client uses the journal. */
function restartPages(path: string, flags: number, version = 1): void {
  const pages = [1n, 2n].map((number) => {
    const page = Buffer.alloc(4096);
    page.write('RSTR');
    page.writeUInt16LE(30, 4);
    page.writeUInt16LE(9, 6);
    page.writeUInt32LE(4096, 16);
    page.writeUInt32LE(4096, 20);
    page.writeUInt16LE(64, 24);
    page.writeUInt16LE(version, 28);
    page.writeBigUInt64LE(number, 64);
    // A client is in the list of those in use.
    page.writeUInt16LE(0, 64 + 12);
    page.writeUInt16LE(flags, 64 + 14);
    page.writeUInt16LE(7, 30);
    for (let piece = 1; piece <= 8; piece++) page.writeUInt16LE(7, piece * 512 - 2);
    return page;
  });
  patchFile(path, firstClusterOf(path, 2) * CLUSTER, Buffer.concat(pages));
}

/** The places that the parser reads, but not all of the journal, which is only compared with ones. */
function placesRead(image: Uint8Array): Extent[] {
  const read = damagedReader(image, new Map());
  const places: Extent[] = [];
  const note = (offset: number, length: number): Uint8Array => {
    if (length <= 65_536) places.push({ offset, length });
    return read(offset, length);
  };
  expect(ntfs.checkUsage(note, image.length)).toMatchObject({ understood: true });
  return [...mergeTouching(places.toSorted((one, other) => one.offset - other.offset))];
}

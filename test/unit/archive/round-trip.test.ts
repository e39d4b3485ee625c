import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { extract } from 'tar-stream';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { parseChecksums } from '../../../src/archive/checksums.ts';
import { parseFingerprints } from '../../../src/archive/fingerprints.ts';
import { fewExtents } from '../../../src/archive/sparse-map.ts';
import { archivePieces, type ArchivedDisk } from '../../../src/archive/write-archive.ts';
import { RunningChunkMap } from '../../../src/chunk/running-chunk-map.ts';
import { paxRecord } from '../../../src/archive/tar-header.ts';
import { mergeTouching, totalLength, type Extent } from '../../../src/extent/extents.ts';
import { sha256Of, unpackTar } from '../../support/archives/read-back.ts';
import { seededBytes } from '../../support/images/images.ts';

const extentsUpTo = (mostBytes: number): fc.Arbitrary<Extent[]> =>
  fc.uniqueArray(fc.nat({ max: mostBytes }), { minLength: 0, maxLength: 40 }).map((marks) => {
    const sorted = marks.toSorted((first, second) => first - second);
    const pairs = sorted.slice(0, sorted.length - (sorted.length % 2));
    const extents: Extent[] = [];
    for (let index = 0; index < pairs.length; index += 2) {
      const [offset = 0, end = 0] = pairs.slice(index, index + 2);
      extents.push({ offset, length: end - offset });
    }
    return [...mergeTouching(extents)];
  });

function diskOf(name: string, content: Uint8Array, extents: readonly Extent[]): ArchivedDisk {
  return {
    name,
    sizeBytes: content.length,
    extents: () => extents,
    read: (offset, length) => content.subarray(offset, offset + length),
  };
}

async function archiveOf(disks: readonly ArchivedDisk[], sums = new Map<string, string>()): Promise<Buffer> {
  const pieces = archivePieces({
    manifest: '{}\n',
    createdAt: new Date('2026-11-29T00:00:00Z'),
    disks,
    onDisk: (name, sum) => void sums.set(name, sum),
  });
  const parts: Buffer[] = [];
  for await (const piece of pieces) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

/** The disk as the archive holds it: zero outside of the extents. */
function kept(content: Uint8Array, extents: readonly Extent[]): Buffer {
  const disk = Buffer.alloc(content.length);
  for (const { offset, length } of extents) disk.set(content.subarray(offset, offset + length), offset);
  return disk;
}

const SIZE = 2_500_000;

test('a disk comes back as it was, in its extents, and its checksum is that of the whole disk', async () => {
  const content = seededBytes(1, SIZE);
  const names = fc.constantFrom(
    'web.img',
    'ein sehr schöner Name.img',
    `${'long'.repeat(50)}.img`,
    'a b=c\\d.img',
  );
  await fc.assert(
    fc.asyncProperty(
      extentsUpTo(SIZE),
      names,
      fc.integer({ min: 100, max: 70_000 }),
      async (extents, name, pieceBytes) => {
        const sums = new Map<string, string>();
        const tar = await archiveOf([diskOf(name, content, extents)], sums);
        expect(tar.length % 512).toBe(0);
        const [manifest, disk, fingerprints, checksums] = await unpackTar(tar, pieceBytes);
        expect(manifest?.content.toString()).toBe('{}\n');
        expect(disk?.name).toBe(name);
        expect(disk?.dataBytes).toBe(totalLength(extents));
        expect(disk?.content.equals(kept(content, extents))).toBe(true);
        const stated = parseChecksums(checksums?.content.toString() ?? '');
        expect(stated).toEqual(
          new Map([
            ['manifest.json', sha256Of(Buffer.from('{}\n'))],
            [name, sha256Of(kept(content, extents))],
            ['fingerprints.json', sha256Of(fingerprints?.content ?? Buffer.alloc(0))],
          ]),
        );
        const map = new RunningChunkMap(SIZE);
        map.add(0, kept(content, extents));
        expect(parseFingerprints(fingerprints?.content.toString() ?? '')).toEqual(
          new Map([[name, map.fingerprint()]]),
        );
        expect(sums.get(name)).toBe(stated.get(name));
      },
    ),
    { numRuns: 25 },
  );
});

test('tar-stream reads the members, too', async () => {
  const content = seededBytes(2, 10_240);
  const tar = await archiveOf([diskOf('web.img', content, [{ offset: 512, length: 1024 }])]);
  const found: [string, string | undefined, number][] = [];
  const reading = extract();
  const done = (async () => {
    for await (const entry of reading as AsyncIterable<
      Readable & { header: { name: string; pax: Record<string, string> | null } }
    >) {
      const content_ = await buffer(entry);
      found.push([entry.header.name, entry.header.pax?.['GNU.sparse.name'], content_.length]);
    }
  })();
  Readable.from([tar]).pipe(reading);
  await done;
  expect(found).toEqual([
    ['manifest.json', undefined, 3],
    // A map of one block, and the data.
    ['GNUSparseFile.0/web.img', 'web.img', 512 + 1024],
    ['fingerprints.json', undefined, 91],
    ['SHA256SUMS', undefined, 238],
  ]);
});

test('too many extents are joined across the smallest gaps', () => {
  const extents = [0, 1, 2, 3].flatMap((number) => [
    { offset: number * 100_000, length: 1000 },
    { offset: number * 100_000 + 1500, length: 1000 },
  ]);
  expect([...fewExtents(() => extents, 8)()]).toEqual(extents);
  expect([...fewExtents(() => extents, 7)()]).toEqual(
    [0, 1, 2, 3].map((number) => ({ offset: number * 100_000, length: 2500 })),
  );
  expect([...fewExtents(() => extents, 1)()]).toEqual([{ offset: 0, length: 302_500 }]);
});

test('a pax record counts its own length', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 1200, unit: 'grapheme' }), (value) => {
      const record = paxRecord('key', value);
      expect(Number(record.split(' ')[0])).toBe(Buffer.byteLength(record));
    }),
  );
  expect(paxRecord('k', 'v'.repeat(4))).toBe('9 k=vvvv\n');
  expect(paxRecord('k', 'v'.repeat(5))).toBe('11 k=vvvvv\n');
});

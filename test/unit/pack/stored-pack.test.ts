import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { buildPack, OpenPack, type Pack } from '../../../src/pack/pack.ts';
import { packedRowsOf } from '../../../src/pack/pack-layout.ts';
import { readStoredPack, type StoredFrame } from '../../../src/pack/read-pack.ts';
import { LARGEST_CHUNK_BYTES } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { sealPurpose, type Seal } from '../../../src/seal/seal.ts';
import { noSeal, sealFor } from '../../../src/seal/seal-for.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import type { Frame } from '../../../src/pack/frame.ts';
import {
  frameOf,
  inPieces,
  sha256,
  tarMembersOf,
  tarOf,
  type TarMember,
} from '../../support/stores/packs.ts';

const CHUNK = 65536;
const zstd = bestZstd();
const key = Buffer.alloc(32, 'a key');
const seals = [
  { name: 'plain', seal: noSeal },
  { name: 'sealed', seal: sealFor(key) },
];

function chunk(seed: number, length = CHUNK): Uint8Array {
  return Buffer.alloc(length, `chunk ${seed} `);
}

async function readAll(id: string, parts: readonly Uint8Array[], seal: Seal): Promise<StoredFrame[]> {
  const frames: StoredFrame[] = [];
  for await (const frame of readStoredPack(id, parts, seal)) frames.push(frame);
  return frames;
}

/** Frames of images of any size. The compressed bytes are arbitrary: packs do not look into them. */
const frames: fc.Arbitrary<Frame[]> = fc.array(
  fc.record({
    chunks: fc
      .array(
        fc.record({
          position: fc.maxSafeNat(),
          id: fc.nat({ max: 99 }).map((seed) => chunkId(Buffer.of(seed))),
          length: fc.integer({ min: 1, max: CHUNK }),
        }),
        { minLength: 1, maxLength: 16 },
      )
      .map((rows) => [...new Map(rows.map((row) => [row.position, row])).values()])
      .map((rows) => rows.toSorted((a, b) => a.position - b.position)),
    compressed: fc.uint8Array({ maxLength: 3000 }),
  }),
  { minLength: 1, maxLength: 6 },
);

describe.each(seals)('a $name pack of a store', ({ seal }) => {
  test('holds its frames, each at the offset that the pack gives', async () => {
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.nat(), { maxLength: 5 }), async (made, places) => {
        const pack = await buildPack(made, seal);
        const read = await readAll(pack.id, inPieces(pack.bytes, places), seal);
        expect(read).toHaveLength(made.length);
        expect(pack.frames).toHaveLength(made.length);
        for (const [index, frame] of made.entries()) {
          const { chunks, compressed, offsetBytes, sizeBytes } = read[index] as StoredFrame;
          expect(Buffer.compare(compressed, frame.compressed)).toBe(0);
          expect(chunks.map((row) => ({ ...row, id: Buffer.from(row.id) }))).toEqual(frame.chunks);
          expect(pack.frames[index]).toMatchObject({ offsetBytes, sizeBytes });
          const lying = pack.bytes.subarray(offsetBytes, offsetBytes + sizeBytes);
          expect(Buffer.compare(seal.open(sealPurpose.frame, lying), frame.compressed)).toBe(0);
          const rows = [...packedRowsOf((pack.frames[index] as StoredPackFrame).chunks)];
          expect(rows.map(({ id, length }) => ({ id: Buffer.from(id), length }))).toEqual(
            frame.chunks.map(({ id, length }) => ({ id, length })),
          );
        }
      }),
      { numRuns: 50 },
    );
  });

  test('stays below its limit, because sealed sizes are counted', async () => {
    const open = new OpenPack(seal);
    const frame = {
      chunks: [{ position: 0, id: chunkId(Buffer.of(1)), length: 1 }],
      compressed: Buffer.alloc(20),
    };
    while (!open.isFull) open.add(frame);
    const { bytes } = await open.close();
    expect(bytes.length).toBeGreaterThan(8 * 2 ** 20 - 4096);
    expect(bytes.length).toBeLessThanOrEqual(8 * 2 ** 20 + 4096 + 4 * 512);
  });
});

type StoredPackFrame = Pack['frames'][number];

test('a sealed pack shows only that it is a sealed pack', async () => {
  const plain = await buildPack([frameOf(new Map([[3, chunk(3)]]), zstd)]);
  const sealed = await buildPack([frameOf(new Map([[3, chunk(3)]]), zstd)], sealFor(key));
  expect(tarMembersOf(sealed.bytes).map(({ name }) => name)).toEqual([
    'vmferry-pack',
    '00000.table.sealed',
    '00000.zst.sealed',
  ]);
  const [format, table] = tarMembersOf(plain.bytes);
  expect(Buffer.from(sealed.bytes).includes(Buffer.from(format?.content ?? ''))).toBe(true);
  expect(Buffer.from(sealed.bytes).includes(Buffer.from(table?.content ?? ''))).toBe(false);
});

describe('reading a stored pack', () => {
  let good: Pack;
  let members: TarMember[];
  beforeAll(async () => {
    good = await buildPack([
      frameOf(
        new Map([
          [0, chunk(0)],
          [2 ** 40, chunk(1, 100)],
        ]),
        zstd,
      ),
      frameOf(new Map([[1, chunk(2)]]), zstd),
    ]);
    members = tarMembersOf(good.bytes);
  });

  async function expectRefused(bytes: Uint8Array, seal: Seal = noSeal, id = sha256(bytes)): Promise<void> {
    await expect(readAll(id, [bytes], seal)).rejects.toMatchObject({ name: 'Failure', code: 'pack-damaged' });
  }

  test('accepts a good pack', async () => {
    expect(await readAll(good.id, [good.bytes], noSeal)).toHaveLength(2);
    expect(await readAll(sha256(await tarOf(members)), [await tarOf(members)], noSeal)).toHaveLength(2);
  });

  test('refuses a pack with any byte changed', async () => {
    for (let place = 0; place < good.bytes.length; place += 97) {
      const bytes = new Uint8Array(good.bytes);
      bytes[place] = (bytes[place] ?? 0) ^ 1;
      await expectRefused(bytes, noSeal, good.id);
    }
  });

  test('refuses a pack under another name', async () => {
    await expectRefused(good.bytes, noSeal, sha256(Buffer.of(1)));
    await expectRefused(good.bytes, noSeal, good.id.toUpperCase());
  });

  test('refuses a pack that is cut off anywhere, or has more bytes at its end', async () => {
    for (let length = 0; length < good.bytes.length; length += 256)
      await expectRefused(good.bytes.subarray(0, length), noSeal, good.id);
    await expectRefused(Buffer.concat([good.bytes, good.bytes]), noSeal, good.id);
  });

  test('refuses a pack sealed with another key, not sealed, or sealed in a store without encryption', async () => {
    const frame = frameOf(new Map([[3, chunk(3)]]), zstd);
    const sealed = await buildPack([frame], sealFor(key));
    await expectRefused(sealed.bytes, sealFor(Buffer.alloc(32, 'another')));
    await expectRefused(sealed.bytes, noSeal);
    await expectRefused(good.bytes, sealFor(key));
  });

  test('refuses a pack whose sealed members were exchanged', async () => {
    const sealed = await buildPack([frameOf(new Map([[3, chunk(3)]]), zstd)], sealFor(key));
    const [format, table, frame] = tarMembersOf(sealed.bytes);
    if (format === undefined || table === undefined || frame === undefined) throw new Error('three members');
    const exchanged = [
      format,
      { name: table.name, content: frame.content },
      { name: frame.name, content: table.content },
    ];
    await expectRefused(await tarOf(exchanged), sealFor(key));
  });

  test('refuses a pack with other members, which would change the offsets of its frames', async () => {
    const header = { name: '00000.table', content: members[1]?.content ?? '', pax: { comment: 'hello' } };
    await expectRefused(await tarOf(members.with(1, header)));
    await expectRefused(Buffer.concat([good.bytes, Buffer.alloc(512)]));
    await expectRefused(await tarOf(members.slice(0, 1)));
  });

  const id0 = sha256(chunk(0));
  test.each([
    ['a position beyond all numbers', `9999999999999999 ${id0} ${CHUNK}\n`],
    ['a chunk larger than any', `0 ${id0} ${LARGEST_CHUNK_BYTES + 1}\n`],
    ['a chunk of no bytes', `0 ${id0} 0\n`],
    ['two chunks larger than a frame', `0 ${id0} ${2 ** 20}\n1 ${id0} 1\n`],
    ['positions that do not ascend', `1 ${id0} 1\n1 ${id0} 1\n`],
  ])('refuses a table with %s', async (_, content) => {
    await expectRefused(await tarOf(members.with(1, { name: '00000.table', content })));
  });

  test('accepts a table with one chunk of the largest size', async () => {
    const content = `0 ${id0} ${LARGEST_CHUNK_BYTES}\n`;
    const bytes = await tarOf(members.with(1, { name: '00000.table', content }));
    const [first] = await readAll(sha256(bytes), [bytes], noSeal);
    expect(first?.chunks[0]?.length).toBe(LARGEST_CHUNK_BYTES);
  });
});

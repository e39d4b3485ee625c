import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ChunkIndex, type IndexedPack } from '../../../../src/repository/chunk-index/chunk-index.ts';
import {
  INDEX_LIMIT_BYTES,
  indexText,
  parseIndexText,
} from '../../../../src/repository/chunk-index/index-text.ts';
import { chunkId } from '../../../../src/chunk/chunk-id.ts';
import { compressText, decompressIds } from '../../../../src/codec/compressed-text.ts';
import { Failure } from '../../../../src/failure.ts';
import { seededBytes } from '../../../support/images/images.ts';

/** Few different chunks, so that many are in several packs. */
const chunkName = fc.integer({ min: 0, max: 200 });
const frame = fc.record({
  offsetBytes: fc.integer({ min: 512, max: 2 ** 24 }),
  sizeBytes: fc.integer({ min: 1, max: 2 ** 20 }),
  chunks: fc.array(fc.tuple(chunkName, fc.integer({ min: 1, max: 65_536 })), { minLength: 1, maxLength: 20 }),
});
const packs: fc.Arbitrary<IndexedPack[]> = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2 ** 24 }), fc.array(frame, { minLength: 1, maxLength: 5 })), {
    maxLength: 12,
  })
  .map((list) =>
    list.map(([sizeBytes, frames], number) => ({
      id: Buffer.from(idOf(`pack ${number}`)).toString('hex'),
      sizeBytes,
      frames: frames.map(({ chunks, ...place }) => ({
        ...place,
        chunks: {
          ids: new Uint8Array(Buffer.concat(chunks.map(([name]) => idOf(name)))),
          lengths: Uint32Array.from(chunks, ([, length]) => length),
        },
      })),
    })),
  );

function idOf(name: number | string): Uint8Array {
  return chunkId(Buffer.from(`${name}`));
}

function indexOf(list: readonly IndexedPack[]): ChunkIndex {
  const index = new ChunkIndex();
  for (const pack of list) index.add(pack);
  return index;
}

describe('an index of chunks', () => {
  test('finds exactly the frames that have a chunk', () => {
    fc.assert(
      fc.property(packs, chunkName, (list, name) => {
        const id = idOf(name);
        const hex = Buffer.from(id).toString('hex');
        const expected = list.flatMap(({ id: packId, frames }) =>
          frames.flatMap(({ offsetBytes, chunks }) => {
            const ids = Buffer.from(chunks.ids).toString('hex').match(/.{64}/g) ?? [];
            return ids.filter((other) => other === hex).map(() => `${packId} ${offsetBytes}`);
          }),
        );
        const index = indexOf(list);
        expect(index.placesOf(id).map(({ packId, offsetBytes }) => `${packId} ${offsetBytes}`)).toEqual(
          expected,
        );
        expect(index.has(id)).toBe(expected.length > 0);
      }),
    );
  });

  test('returns the packs as they were added', () => {
    fc.assert(
      fc.property(packs, (list) => {
        const index = indexOf(list);
        expect([...index.indexedPacks()].map(plain)).toEqual(list.map(plain));
        expect([...index.ids()]).toHaveLength(index.chunkCount);
      }),
    );
  });

  test('grows to many chunks', () => {
    const index = new ChunkIndex();
    for (let pack = 0; pack < 40; pack++) {
      const names = Array.from({ length: 1000 }, (_, chunk) => idOf(`${pack} ${chunk}`));
      const chunks = {
        ids: new Uint8Array(Buffer.concat(names)),
        lengths: new Uint32Array(1000).fill(65_536),
      };
      index.add({ id: `${pack}`, sizeBytes: 1, frames: [{ offsetBytes: 1, sizeBytes: 1, chunks }] });
    }
    expect(index.chunkCount).toBe(40_000);
    expect(index.placesOf(idOf('39 999')).map(({ packId }) => packId)).toEqual(['39']);
    expect(index.has(idOf('40 0'))).toBe(false);
  });

  /** Takes minutes if each chunk is compared with all chunks added before. */
  const many = 200_000;
  const mostMs = 20_000;

  test('is filled quickly even if one chunk is named very often', () => {
    const ids = new Uint8Array(many * 32).fill(7);
    const start = performance.now();
    const index = indexOf([packOf(ids)]);
    expect(index.chunkCount).toBe(many);
    expect(index.placesOf(ids.subarray(0, 32))).toHaveLength(16);
    expect(performance.now() - start).toBeLessThan(mostMs);
  });

  test('is filled quickly even if the ids begin alike', () => {
    const ids = new Uint8Array(many * 32);
    for (let chunk = 0; chunk < many; chunk++) new DataView(ids.buffer).setUint32(chunk * 32 + 28, chunk);
    const start = performance.now();
    const index = indexOf([packOf(ids)]);
    expect(index.placesOf(ids.subarray(32, 64))).toHaveLength(1);
    expect(performance.now() - start).toBeLessThan(mostMs);
  });
});

function packOf(ids: Uint8Array, id = 'ab'.repeat(32)): IndexedPack {
  const lengths = new Uint32Array(ids.length / 32).fill(65_536);
  return {
    id,
    sizeBytes: 8_000_000,
    frames: [{ offsetBytes: 4096, sizeBytes: 1000, chunks: { ids, lengths } }],
  };
}

function plain(pack: IndexedPack): unknown {
  return {
    ...pack,
    frames: pack.frames.map(({ chunks, offsetBytes, sizeBytes }) => ({
      offsetBytes,
      sizeBytes,
      ids: Buffer.from(chunks.ids).toString('hex'),
      lengths: [...chunks.lengths],
    })),
  };
}

describe('an index file', () => {
  test('is read back as it was written', () => {
    fc.assert(
      fc.property(packs, (list) => {
        expect(parseIndexText(indexText(list)).map(plain)).toEqual(list.map(plain));
      }),
    );
  });

  const id = 'ab'.repeat(32);
  test.each([
    '',
    'vmferry-index 1',
    'vmferry-index 2\n',
    `vmferry-index 1\nframe 1 1\n`,
    `vmferry-index 1\npack ${id} 0\n`,
    `vmferry-index 1\npack ${id} 99999999999\n`,
    `vmferry-index 1\npack ${id.toUpperCase()} 5\n`,
    `vmferry-index 1\npack ../../x 5\n`,
    `vmferry-index 1\npack ${id} 5 6\n`,
    `vmferry-index 1\npack ${id} 5\nchunk ${id} 5\n`,
    `vmferry-index 1\npack ${id} 5\nframe 1 1\nchunk ${id} -5\n`,
    `vmferry-index 1\npack ${id} 5\nframe 1 1\nchunk ${id} 5`,
    `vmferry-index 1\npack ${id} 5\n`,
    `vmferry-index 1\npack ${id} 5\npack ${id} 5\nframe 1 1\nchunk ${id} 5\n`,
    `vmferry-index 1\npack ${id} 5\nframe 1 1\nframe 2 1\nchunk ${id} 5\n`,
    `vmferry-index 1\npack ${id} 5\nframe 1 1\nchunk ${id} 5\nframe 2 1\n`,
  ])('is refused: %j', (text) => {
    expect(() => parseIndexText(text)).toThrow(Failure);
  });

  test('is read with as many chunks as a backup or a prune ever writes', () => {
    // A pack is closed once its chunks have 128 MiB, and a frame more has 1 MiB.
    const chunks = 129 * 16;
    const full = Array.from({ length: 64 }, (_, number) =>
      packOf(seededBytes(number, chunks * 32), Buffer.from(idOf(number)).toString('hex')),
    );
    const text = indexText(full);
    const read = decompressIds(compressText(text), INDEX_LIMIT_BYTES, 'it');
    expect(parseIndexText(read)).toHaveLength(64);
  });

  test('is refused before it is unpacked if its text is implausibly large', () => {
    const text = indexText([packOf(new Uint8Array(10_000 * 32))]);
    expect(() => decompressIds(compressText(text), INDEX_LIMIT_BYTES, 'It')).toThrow(
      'It is damaged: its text is too long.',
    );
  });
});

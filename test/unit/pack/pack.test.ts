import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  buildPack,
  OpenPack,
  PACK_LIMIT_BYTES,
  PACK_PLAIN_LIMIT_BYTES,
  packFileName,
} from '../../../src/pack/pack.ts';
import { namePack } from '../../../src/pack/pack-format.ts';
import { PackMemory } from '../../../src/pack/pack-memory.ts';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { noSeal } from '../../../src/seal/seal-for.ts';
import type { Frame } from '../../../src/pack/frame.ts';
import { inPieces, packBytes, readAll, sha256 } from '../../support/stores/packs.ts';

const CHUNK = 65536;
const imageBytes = 4096 * CHUNK + 512;
const grid = chunkGridFor(imageBytes);

/** The compressed bytes are arbitrary: packs do not look into them. */
const frames: fc.Arbitrary<Frame[]> = fc
  .array(
    fc.record({
      steps: fc.array(fc.integer({ min: 1, max: 250 }), { minLength: 1, maxLength: 16 }),
      compressed: fc.uint8Array({ minLength: 0, maxLength: 3000 }),
    }),
    { maxLength: 6 },
  )
  .map((drafts) =>
    drafts.map(({ steps, compressed }) => {
      let position = -1;
      const chunks = steps.map((step) => {
        position = Math.min(position + step, 4096);
        return { position, id: chunkId(Buffer.from([position % 256])), length: CHUNK };
      });
      return { chunks, compressed };
    }),
  );

function plainOf(read: readonly Frame[]): unknown {
  return read.map(({ chunks, compressed }) => ({
    chunks: chunks.map((chunk) => ({ ...chunk, id: Buffer.from(chunk.id).toString('hex') })),
    compressed: Buffer.from(compressed).toString('hex'),
  }));
}

describe('a pack', () => {
  test('holds its frames, and is read in parts of any sizes', async () => {
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.nat(), { maxLength: 12 }), async (made, places) => {
        const { id, bytes } = await packBytes(made);
        const read = await readAll(id, inPieces(bytes, places), grid);
        expect(plainOf(read)).toEqual(plainOf(made));
      }),
    );
  });

  test('is named by the SHA-256 of its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(frames, async (made) => {
        const pack = await buildPack(made);
        expect(pack.id).toBe(sha256(pack.bytes));
        expect(pack.plainBytes).toBe(made.flatMap(({ chunks }) => chunks).length * CHUNK);
      }),
      { numRuns: 30 },
    );
  });

  test('of a move has a random name', () => {
    const [first, second] = [1, 2].map(() => namePack(Buffer.alloc(512), 'random'));
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(second).not.toBe(first);
  });

  test('of the same frames is always the same, byte for byte', async () => {
    const made = [
      { chunks: [{ position: 3, id: chunkId(Buffer.of(1)), length: CHUNK }], compressed: Buffer.of(1) },
    ];
    const pack = await buildPack(made);
    expect(pack.id).toBe((await buildPack(made)).id);
    expect(packFileName(pack.id)).toBe(`${pack.id}.tar`);
  });

  test('can be read one byte at a time', async () => {
    const chunks = [{ position: 0, id: chunkId(Buffer.of(1)), length: CHUNK }];
    const { id, bytes } = await packBytes([{ chunks, compressed: Buffer.from('frame') }]);
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(await readAll(id, single, grid)).toHaveLength(1);
  });
});

describe('frames are packed', () => {
  /** Frames of very regular data: large tables, and almost no compressed bytes. */
  function* tinyFrames(count: number, chunksPerFrame: number): Iterable<Frame> {
    const id = chunkId(Buffer.of(1));
    for (let frame = 0; frame < count; frame++) {
      const chunks = Array.from({ length: chunksPerFrame }, (_, index) => ({
        position: (frame * chunksPerFrame + index) % 4096,
        id,
        length: CHUNK,
      }));
      yield { chunks, compressed: Buffer.alloc(20) };
    }
  }

  test.each([1, 16])('so that a pack is no larger than its limit and a frame (%d chunks)', async (chunks) => {
    const open = new OpenPack();
    let frameCount = 0;
    for (const frame of tinyFrames(100_000, chunks)) {
      if (open.isFull) break;
      open.add(frame);
      frameCount++;
    }
    expect(open.isFull).toBe(true);
    const { bytes, plainBytes } = await open.close();
    expect(plainBytes).toBe(frameCount * chunks * CHUNK);
    // the last frame, the format's member, and the end of the tar file
    expect(bytes.length).toBeLessThanOrEqual(PACK_LIMIT_BYTES + 4096 + 4 * 512);
    expect(plainBytes).toBeLessThanOrEqual(PACK_PLAIN_LIMIT_BYTES + chunks * CHUNK);
  });

  test('into used memory to the same bytes as into new memory', async () => {
    const made = [...tinyFrames(7, 3)];
    const fresh = await buildPack(made);
    const memory = new PackMemory();
    for (let round = 0; round < 3; round++) {
      memory.giveBack(new Uint8Array(16 * 2 ** 20).fill(0xff).buffer);
      const open = new OpenPack(noSeal, memory);
      for (const frame of made) open.add(frame);
      expect(Buffer.compare((await open.close()).bytes, fresh.bytes)).toBe(0);
    }
  });

  test('as copies, so that their memory may be overwritten; and the next pack begins empty', async () => {
    const open = new OpenPack();
    await fc.assert(
      fc.asyncProperty(frames, async (made) => {
        expect(open.isEmpty).toBe(true);
        const memory = Buffer.alloc(4096);
        for (const { chunks, compressed } of made) {
          memory.set(compressed);
          open.add({ chunks, compressed: memory.subarray(0, compressed.length) });
          memory.fill(0xff);
        }
        const { id, bytes } = await open.close();
        expect(plainOf(await readAll(id, [bytes], grid))).toEqual(plainOf(made));
      }),
      { numRuns: 50 },
    );
  });
});

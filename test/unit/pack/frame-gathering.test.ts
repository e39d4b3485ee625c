import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkGridFor, chunkLength, frameLimitBytes } from '../../../src/chunk/chunk-grid.ts';
import { FrameGathering, type PlainFrame } from '../../../src/pack/frame-gathering.ts';
import type { FrameChunk } from '../../../src/pack/frame.ts';

const CHUNK = 65536;
const grid = chunkGridFor(2000 * CHUNK + 512);

function chunkAt(position: number): FrameChunk {
  return { position, id: new Uint8Array(32).fill(position), length: chunkLength(grid, position) };
}

function plainOf(chunks: readonly FrameChunk[]): Buffer {
  return Buffer.concat(chunks.map(({ position, length }) => Buffer.alloc(length, `chunk ${position} `)));
}

/** Copies each frame before the next is asked for, as a compressor must. */
function copied(frames: Iterable<PlainFrame>): PlainFrame[] {
  const all: PlainFrame[] = [];
  for (const { chunks, plain } of frames) all.push({ chunks: [...chunks], plain: Buffer.from(plain) });
  return all;
}

/** Many groups of new chunks, each of up to 16 positions. */
const pieces = fc.array(fc.uniqueArray(fc.nat({ max: 15 }), { maxLength: 16 }), { maxLength: 125 });

describe('gathering chunks into frames', () => {
  test('keeps all chunks and bytes; all frames but the last are full', () => {
    fc.assert(
      fc.property(pieces, (drafts) => {
        const gathering = new FrameGathering();
        const added: FrameChunk[] = [];
        const frames: PlainFrame[] = [];
        for (const [index, draft] of drafts.entries()) {
          const chunks = draft.toSorted((a, b) => a - b).map((step) => chunkAt(index * 16 + step));
          const plain = plainOf(chunks);
          frames.push(...copied(gathering.add(chunks, plain)));
          plain.fill(0xff);
          added.push(...chunks);
        }
        for (const { plain } of frames) expect(plain.length).toBe(16 * CHUNK);
        frames.push(...copied(gathering.flush()));
        expect(copied(gathering.flush())).toEqual([]);

        const packed = frames.flatMap(({ chunks }) => chunks);
        expect(packed.toSorted((a, b) => a.position - b.position)).toEqual(added);
        for (const { chunks, plain } of frames) {
          expect(Buffer.compare(plain, plainOf(chunks))).toBe(0);
          const positions = chunks.map(({ position }) => position);
          expect(positions).toEqual(positions.toSorted((a, b) => a - b));
        }
      }),
      { numRuns: 20 },
    );
  });

  test('does not copy chunks that fill a frame, even while others wait', () => {
    const gathering = new FrameGathering();
    const few = [chunkAt(3)];
    expect(copied(gathering.add(few, plainOf(few)))).toEqual([]);
    const full = Array.from({ length: 16 }, (_, index) => chunkAt(16 + index));
    const plain = plainOf(full);
    const [frame, ...others] = gathering.add(full, plain);
    expect(frame?.plain).toBe(plain);
    expect(others).toEqual([]);
    expect(copied(gathering.flush())).toEqual([{ chunks: few, plain: plainOf(few) }]);
  });

  test('begins another frame if positions would not ascend', () => {
    const gathering = new FrameGathering();
    expect(copied(gathering.add([chunkAt(30)], plainOf([chunkAt(30)])))).toEqual([]);
    expect(copied(gathering.add([chunkAt(7)], plainOf([chunkAt(7)])))).toEqual([
      { chunks: [chunkAt(30)], plain: plainOf([chunkAt(30)]) },
    ]);
    expect(copied(gathering.flush())).toEqual([{ chunks: [chunkAt(7)], plain: plainOf([chunkAt(7)]) }]);
  });

  test('makes a frame of each chunk if chunks are large', () => {
    const large = chunkGridFor(2 ** 41 + 512);
    const gathering = new FrameGathering();
    const chunk = { position: 3, id: new Uint8Array(32), length: frameLimitBytes(large) };
    const plain = Buffer.alloc(chunk.length);
    expect([...gathering.add([], Buffer.alloc(0))]).toEqual([]);
    expect([...gathering.add([chunk], plain)][0]?.plain).toBe(plain);
    const last = { position: 2 ** 20, id: new Uint8Array(32), length: 512 };
    expect([...gathering.add([last], plain.subarray(0, 512))]).toEqual([]);
    expect(copied(gathering.flush())).toEqual([{ chunks: [last], plain: plain.subarray(0, 512) }]);
  });
});

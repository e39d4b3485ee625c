import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkGridFor } from '../../../../src/chunk/chunk-grid.ts';
import { rowsOf } from '../../../../src/chunk/chunk-list.ts';
import { ChunkMap } from '../../../../src/chunk/chunk-map.ts';
import { planFetch, type PlannedRequest } from '../../../../src/operations/restore/fetch-plan.ts';
import { ChunkIndex, type IndexedFrame } from '../../../../src/repository/chunk-index/chunk-index.ts';

const MIB = 2 ** 20;
const CHUNK = 64 * 1024;
const always = () => true;

/** Chunks are named by small numbers here. */
function id(number: number): Uint8Array {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(Math.imul(number + 1, 0x9e3779b1) >>> 0, 0);
  bytes.writeUInt32BE(number + 1, 4);
  return bytes;
}

function frame(offsetBytes: number, sizeBytes: number, chunks: readonly number[]): IndexedFrame {
  return {
    offsetBytes,
    sizeBytes,
    chunks: {
      ids: new Uint8Array(Buffer.concat(chunks.map(id))),
      lengths: new Uint32Array(chunks.length).fill(CHUNK),
    },
  };
}

function mapOf(chunks: readonly (number | null)[]): { map: ChunkMap; positions: number[] } {
  const map = new ChunkMap(chunkGridFor(chunks.length * CHUNK));
  for (const [position, chunk] of chunks.entries()) if (chunk !== null) map.set(position, id(chunk));
  return { map, positions: chunks.flatMap((chunk, position) => (chunk === null ? [] : [position])) };
}

function shapeOf(requests: Iterable<PlannedRequest>) {
  return [...requests].map(({ packId, offsetBytes, lengthBytes, frames }) => ({
    packId,
    range: [offsetBytes, lengthBytes],
    positions: frames.map(({ targets }) => [...targets.positions]),
  }));
}

describe('a fetch plan', () => {
  test('reads neighbours in one request, and each chunk once for all its places', () => {
    const index = new ChunkIndex();
    index.add({
      id: 'a',
      sizeBytes: 100 * MIB,
      frames: [frame(1000, 500, [1, 2]), frame(2000, 700, [3]), frame(50 * MIB, 100, [4])],
    });
    index.add({ id: 'b', sizeBytes: 100 * MIB, frames: [frame(512, 100, [5])] });
    const { map, positions } = mapOf([5, 4, 3, null, 1, 2, 1]);
    const { requests, missing } = planFetch(index, map, positions, always);
    expect(missing).toEqual([]);
    expect(shapeOf(requests)).toEqual([
      { packId: 'a', range: [1000, 1700], positions: [[4, 5, 6], [2]] },
      { packId: 'a', range: [50 * MIB, 100], positions: [[1]] },
      { packId: 'b', range: [512, 100], positions: [[0]] },
    ]);
  });

  test('reads a pack in one piece if most of it is wanted, whatever the gaps', () => {
    const index = new ChunkIndex();
    const frames = [frame(0, MIB / 4, [1]), frame(MIB / 4, MIB / 2, [2]), frame(0.75 * MIB, MIB / 4, [3])];
    index.add({ id: 'a', sizeBytes: 0.8 * MIB, frames });
    const most = mapOf([1, 3]);
    expect(shapeOf(planFetch(index, most.map, most.positions, always).requests)).toHaveLength(1);
    index.add({
      id: 'b',
      sizeBytes: 80 * MIB,
      frames: [frame(0, MIB / 4, [4]), frame(0.7 * MIB, MIB / 4, [5])],
    });
    const few = mapOf([4, 5]);
    expect(shapeOf(planFetch(index, few.map, few.positions, always).requests)).toHaveLength(2);
  });

  test('takes the first usable place, and reports chunks without one', () => {
    const index = new ChunkIndex();
    index.add({ id: 'a', sizeBytes: 9000, frames: [frame(0, 10, [1]), frame(10, 10, [2])] });
    index.add({ id: 'b', sizeBytes: 9000, frames: [frame(0, 10, [1, 3])] });
    const { map, positions } = mapOf([1, 2, 3, 9]);
    const usable = (number: number) => number !== 0 && number !== 1;
    const { requests, missing } = planFetch(index, map, positions, usable);
    expect(missing).toEqual([1, 3]);
    expect(shapeOf(requests)).toEqual([{ packId: 'b', range: [0, 10], positions: [[0, 2]] }]);
  });

  test('is empty if nothing is wanted', () => {
    const { map } = mapOf([null]);
    expect(shapeOf(planFetch(new ChunkIndex(), map, [], always).requests)).toEqual([]);
  });

  test('covers each wanted position once, with a frame that holds it, in bounded requests', () => {
    const packs = fc.array(
      fc.array(
        fc.record({
          gap: fc.oneof(fc.constant(1024), fc.nat(300 * 1024)),
          size: fc.integer({ min: 1, max: 2 * MIB }),
          chunks: fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }),
        }),
        { minLength: 1, maxLength: 12 },
      ),
      { maxLength: 5 },
    );
    const wanted = fc.array(fc.option(fc.nat(40)), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(packs, wanted, (described, chunks) => {
        const index = new ChunkIndex();
        for (const [number, pack] of described.entries()) {
          let end = 0;
          const frames = pack.map(({ gap, size, chunks: held }) => {
            const made = frame(end + gap, size, held);
            end += gap + size;
            return made;
          });
          index.add({ id: `pack${number}`, sizeBytes: end, frames });
        }
        const { map, positions } = mapOf(chunks);
        const { requests, missing } = planFetch(index, map, positions, always);
        const planned: number[] = [];
        const framesSeen = new Set<number>();
        for (const { packId, offsetBytes, lengthBytes, frames } of requests) {
          if (frames.length > 1) expect(lengthBytes).toBeLessThanOrEqual(MIB);
          for (const { number, place, targets } of frames) {
            expect(framesSeen.has(number)).toBe(false);
            framesSeen.add(number);
            expect(place.packId).toBe(packId);
            expect(place.offsetBytes).toBeGreaterThanOrEqual(offsetBytes);
            expect(place.offsetBytes + place.sizeBytes).toBeLessThanOrEqual(offsetBytes + lengthBytes);
            for (const { position, id: wantedId } of rowsOf(targets)) {
              expect(Buffer.from(place.chunks.ids).includes(Buffer.from(wantedId))).toBe(true);
              planned.push(position);
            }
          }
        }
        expect([...planned, ...missing].toSorted((one, other) => one - other)).toEqual(positions);
        for (const position of missing) expect(index.has(map.get(position) ?? id(0))).toBe(false);
      }),
    );
  });
});

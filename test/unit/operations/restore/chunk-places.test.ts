import { expect, test } from '@jest/globals';
import { chunkGridFor, LARGEST_CHUNK_BYTES } from '../../../../src/chunk/chunk-grid.ts';
import { ChunkMap } from '../../../../src/chunk/chunk-map.ts';
import { ChunkPlaces } from '../../../../src/operations/restore/chunk-places.ts';
import type { PackReader } from '../../../../src/operations/restore/pack-reader.ts';
import { ChunkIndex } from '../../../../src/repository/chunk-index/chunk-index.ts';

const { signal } = new AbortController();
const nothingNew = () => Promise.resolve(false);
const noOthers = { indexOthers: nothingNew, indexAgain: nothingNew } as unknown as PackReader;

test.each([
  [LARGEST_CHUNK_BYTES, LARGEST_CHUNK_BYTES, []],
  [2 ** 30, 2 ** 30, [0]],
  [2 ** 27, 2 ** 20, [0]],
])(
  'a frame of %d bytes for a chunk of %d is read, or refused as implausible',
  async (sizeBytes, length, missing) => {
    const ids = new Uint8Array(32).fill(7);
    const frame = { offsetBytes: 512, sizeBytes, chunks: { ids, lengths: Uint32Array.of(length) } };
    const index = new ChunkIndex();
    index.add({ id: 'ab'.repeat(32), sizeBytes: 2 ** 31, frames: [frame] });
    const map = new ChunkMap(chunkGridFor(2 ** 20));
    map.set(0, ids);
    const plan = await new ChunkPlaces(index, noOthers).plan(map, [0], signal);
    expect(plan.missing).toEqual(missing);
  },
);

import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, afterEach, describe, expect, test } from '@jest/globals';
import type { Pack } from '../../../src/pack/pack.ts';
import { readPack } from '../../../src/pack/read-pack.ts';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { rowsOf } from '../../../src/chunk/chunk-list.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { KnownChunks } from '../../../src/chunk/known-chunks.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { captureImage } from '../../../src/transfer/capture.ts';
import { captureFile, frameWorkerUrl, type CapturedImage } from '../../support/assembly.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';

const CHUNK = 65536;
const CHUNKS = 200;

/** One worker, so that it is certain which chunk goes into which frame. */
const pool = new FramePool(frameWorkerUrl, 1);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

let scratch: ReturnType<typeof scratchDirectory>;
let path: string;
let known: KnownChunks;
beforeEach(() => {
  scratch = scratchDirectory();
  path = join(scratch.path, 'image');
  writeFileSync(path, seededBytes(1, CHUNKS * CHUNK));
  known = KnownChunks.withRoomFor(1000);
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

function rewriteChunks(positions: readonly number[], seed: number): void {
  const fd = openSync(path, 'r+');
  for (const position of positions)
    writeSync(fd, seededBytes(seed + position, CHUNK), 0, CHUNK, position * CHUNK);
  closeSync(fd);
}

/** The positions in each frame. */
async function positionsIn({ packs, map }: Pick<CapturedImage, 'packs' | 'map'>): Promise<number[][]> {
  const frames: number[][] = [];
  for (const pack of packs)
    for await (const { chunks } of readPack(pack.id, [pack.bytes], map.grid))
      frames.push(chunks.map(({ position }) => position));
  return frames;
}

function sortedPositions(frames: number[][]): number[] {
  return frames.flat().sort((a, b) => a - b);
}

describe('a chunk that the other side has', () => {
  test('is packed only once, but is in the map each time', async () => {
    const first = await captureFile(path, pool, { known });
    expect(first.packs.length).toBeGreaterThan(1);
    expect(first.packedBytes).toBe(CHUNKS * CHUNK);
    const second = await captureFile(path, pool, { known });
    expect(second.packs).toEqual([]);
    expect(second).toMatchObject({ readBytes: CHUNKS * CHUNK, packedBytes: 0 });
    expect(second.map.fingerprint()).toBe(first.map.fingerprint());
    expect((await captureFile(path, pool)).map.fingerprint()).toBe(first.map.fingerprint());
  });

  test('is packed only once if the image has it in several places', async () => {
    const chunk = seededBytes(3, CHUNK);
    for (const position of [5, 6, 7, 100, 101, 199]) {
      const fd = openSync(path, 'r+');
      writeSync(fd, chunk, 0, CHUNK, position * CHUNK);
      closeSync(fd);
    }
    const captured = await captureFile(path, pool, { known });
    const positions = sortedPositions(await positionsIn(captured));
    expect(positions).toHaveLength(CHUNKS - 5);
    expect(positions.filter((position) => [5, 6, 7, 100, 101, 199].includes(position))).toEqual([5]);
    expect(captured.map.get(199)).toEqual(captured.map.get(5));
  });

  test('lies between changed chunks, which share frames nevertheless', async () => {
    await captureFile(path, pool, { known });
    const changed = Array.from({ length: 40 }, (_, index) => index * 5 + (index % 3));
    rewriteChunks(changed, 1000);
    const second = await captureFile(path, pool, { known });
    expect(second.packedBytes).toBe(40 * CHUNK);
    expect(second.packs).toHaveLength(1);
    expect(second.packs[0]?.plainBytes).toBe(40 * CHUNK);
    const frames = await positionsIn(second);
    expect(frames.map((positions) => positions.length)).toEqual([16, 16, 8]);
    expect(frames.flat()).toEqual(changed);
    expect(second.map.fingerprint()).toBe((await captureFile(path, pool)).map.fingerprint());
  });

  test('is known to all workers', async () => {
    await using several = new FramePool(frameWorkerUrl, 3);
    const half = seededBytes(9, (CHUNKS / 2) * CHUNK);
    writeFileSync(path, Buffer.concat([half, half]));
    const { packs, packedBytes } = await captureFile(path, several, { known });
    // Two workers that capture the same chunk at the same moment both pack it.
    expect(packedBytes).toBeLessThan(half.length + 20 * CHUNK);
    const ids = new Set(packs.flatMap((pack) => idsIn(pack)));
    expect(ids.size).toBe(CHUNKS / 2);
  });
});

function idsOf(map: ChunkMap): Set<string> {
  const ids = new Set<string>();
  for (let position = 0; position < map.grid.chunkCount; position++)
    ids.add(Buffer.from(map.get(position) ?? []).toString('hex'));
  return ids;
}

function idsIn({ frames }: Pack): string[] {
  return frames.flatMap(({ chunks }) =>
    [...rowsOf({ positions: chunks.lengths, ids: chunks.ids })].map(({ id }) =>
      Buffer.from(id).toString('hex'),
    ),
  );
}

test('chunks that an abandoned capture had gathered do not get into another capture', async () => {
  function* breakingOff() {
    yield { offset: 0, length: 3 * CHUNK };
    yield { offset: 100 * CHUNK, length: 30 * CHUNK };
    throw new Error('the disk is gone');
  }
  await using source = await openImage(path);
  const map = new ChunkMap(chunkGridFor(source.sizeBytes));
  const packs = captureImage(source, { extents: breakingOff(), map, level: () => 3, pool, known });
  await expect(packs.next()).rejects.toThrow('the disk is gone');
  const other = join(scratch.path, 'other');
  writeFileSync(other, seededBytes(77, 5 * CHUNK));
  expect(await positionsIn(await captureFile(other, pool, { known }))).toEqual([[0, 1, 2, 3, 4]]);
});

test('images that are captured at the same time by the same workers are not mixed', async () => {
  const paths = [1, 2, 3].map((seed) => join(scratch.path, `image-${seed}`));
  for (const [index, file] of paths.entries()) writeFileSync(file, seededBytes(index + 10, 300 * CHUNK));
  const captures = await Promise.all(paths.map((file) => captureFile(file, pool, { known })));
  const everything = Array.from({ length: 300 }, (_, position) => position);
  for (const capture of captures) {
    expect(sortedPositions(await positionsIn(capture))).toEqual(everything);
    const own = idsOf(capture.map);
    expect(capture.packs.flatMap(idsIn).filter((id) => !own.has(id))).toEqual([]);
  }
});

test('an image whose last chunk is short is packed whole', async () => {
  writeFileSync(path, seededBytes(5, 17 * CHUNK + 512));
  const captured = await captureFile(path, pool, { known });
  expect(sortedPositions(await positionsIn(captured))).toEqual(
    Array.from({ length: 18 }, (_, index) => index),
  );
  expect(captured.packedBytes).toBe(17 * CHUNK + 512);
});

import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pack } from '../../../src/pack/pack.ts';
import { packedRowsOf } from '../../../src/pack/pack-layout.ts';
import { chunkLength, type ChunkGrid } from '../../../src/chunk/chunk-grid.ts';
import { chunkListOf, type ChunkList } from '../../../src/chunk/chunk-list.ts';
import type { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { KnownChunks } from '../../../src/chunk/known-chunks.ts';
import type { SealKey } from '../../../src/seal/seal.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import type { ApplyResult, WantedFrame } from '../../../src/workers/jobs.ts';
import { captureFile, frameWorkerUrl, type CapturedImage } from '../../support/assembly.ts';
import {
  makeGarbageFile,
  makeSparseFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing } from '../../support/images/loop-device.ts';
import { writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const CHUNK = 65536;
const CHUNKS = 100;
const SIZE = CHUNKS * CHUNK + 1536;
const key = Buffer.alloc(32, 'a key');

const pool = new FramePool(frameWorkerUrl, 2);
const images = scratchDirectory();
let original: Buffer;
let plain: CapturedImage;
let sealed: CapturedImage;
let grid: ChunkGrid;

beforeAll(async () => {
  const path = join(images.path, 'image');
  writeSparseImage(path, {
    sectors: SIZE / 512,
    pieces: [
      { sector: 0, sectors: 40 * 128 + 10, kind: 'text' },
      { sector: 50 * 128 + 8, sectors: 16, kind: 'noise' },
      { sector: 60 * 128, sectors: 30 * 128, kind: 'noise' },
      { sector: 100 * 128 + 1, sectors: 2, kind: 'ones' },
    ],
  });
  // The same chunk is in several places, some of them adjacent, and a chunk has zeros within it.
  const bytes = readFileSync(path);
  for (const position of [10, 11, 12, 62, 95]) bytes.set(seededBytes(3, CHUNK), position * CHUNK);
  bytes.fill(0, 64 * CHUNK + 8192, 64 * CHUNK + 20_480);
  writeFileSync(path, bytes);
  original = bytes;
  const known = () => KnownChunks.withRoomFor(CHUNKS);
  plain = await captureFile(path, pool, { known: known() });
  sealed = await captureFile(path, pool, { known: known(), sealKey: key });
  grid = plain.map.grid;
});
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  images[Symbol.dispose]();
});

let scratch: ReturnType<typeof scratchDirectory>;
let target: string;
beforeEach(() => {
  scratch = scratchDirectory();
  target = join(scratch.path, 'restored');
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}

function positionsById(map: ChunkMap): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  for (let position = 0; position < map.grid.chunkCount; position++) {
    const id = map.get(position);
    if (id !== null) positions.set(hex(id), [...(positions.get(hex(id)) ?? []), position]);
  }
  return positions;
}

/** The frames of the packs, as range reads of a store give them, with the places that want their chunks. */
function wantedFrames(packs: readonly Pack[], wanted: ReadonlyMap<string, number[]>): WantedFrame[] {
  // Two workers that pack the same chunk at the same moment both keep it. It is wanted only from the first.
  const left = new Map(wanted);
  const positionsOf = (id: Uint8Array) => {
    const positions = left.get(hex(id)) ?? [];
    left.delete(hex(id));
    return positions;
  };
  return packs.flatMap(({ bytes, frames }) =>
    frames.map(({ offsetBytes, sizeBytes, chunks }) => ({
      bytes: bytes.slice(offsetBytes, offsetBytes + sizeBytes),
      chunks: [...packedRowsOf(chunks)].map((row) => ({ ...row, positions: positionsOf(row.id) })),
    })),
  );
}

interface RestoreOptions {
  sealKey?: SealKey;
  targetReadsAsZero?: boolean;
  path?: string;
}

async function restore(
  frames: readonly WantedFrame[],
  { sealKey = null, targetReadsAsZero = true, path = target }: RestoreOptions = {},
): Promise<ApplyResult> {
  const fd = openSync(path, 'r+');
  const directFd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
  try {
    return await pool.run({
      kind: 'apply',
      fd,
      directFd,
      grid,
      targetReadsAsZero,
      from: { sealKey, frames },
    });
  } finally {
    closeSync(fd);
    closeSync(directFd);
  }
}

/** Positions of chunks that differ from the list. */
async function compare(chunks: ChunkList, path = target): Promise<number[]> {
  const fd = openSync(path, 'r');
  try {
    return (await pool.run({ kind: 'compare', fd, grid, chunks })).mismatches;
  } finally {
    closeSync(fd);
  }
}

/** All chunks of the map, including the empty ones. */
function everythingOf(map: ChunkMap): ChunkList {
  return chunkListOf(
    Array.from({ length: map.grid.chunkCount }, (_, position) => ({
      position,
      id: map.get(position) ?? new Uint8Array(32),
    })),
  );
}

async function clear(positions: readonly number[], path = target): Promise<void> {
  const fd = openSync(path, 'r+');
  await pool.run({ kind: 'clear', fd, grid, positions: Uint32Array.from(positions) });
  closeSync(fd);
}

function allocatedBytes(path: string): number {
  const fd = openSync(path, 'r');
  const { blocks } = fstatSync(fd);
  closeSync(fd);
  return blocks * 512;
}

function expectRestored(bytes: Uint8Array = readFileSync(target)): void {
  expect(Buffer.compare(original, bytes)).toBe(0);
}

describe('frames that were read one by one', () => {
  test.each([
    ['plain', () => plain, null],
    ['sealed', () => sealed, key],
  ])('%s, make the whole image, with each chunk in all its places', async (_, of, sealKey) => {
    makeSparseFile(target, SIZE);
    const { packs, map } = of();
    const { chunks, plainBytes, damagedIds } = await restore(wantedFrames(packs, positionsById(map)), {
      sealKey,
    });
    expectRestored();
    expect(damagedIds).toHaveLength(0);
    const positions = [...positionsById(map).values()].flat().sort((a, b) => a - b);
    expect([...chunks.positions]).toEqual(positions);
    expect(plainBytes).toBe(positions.reduce((sum, position) => sum + chunkLength(grid, position), 0));
    expect(await compare(chunks)).toEqual([]);
    expect(await compare(everythingOf(map))).toEqual([]);
    // zeros within chunks, and the space between them, are holes
    expect(allocatedBytes(target)).toBeLessThan(75 * CHUNK);
  });

  test('write only the chunks that are wanted', async () => {
    makeSparseFile(target, SIZE);
    const wanted = new Map([...positionsById(plain.map)].filter(([, positions]) => positions.includes(70)));
    const { chunks } = await restore(wantedFrames(plain.packs, wanted));
    expect([...chunks.positions]).toEqual([70]);
    const expected = Buffer.alloc(SIZE);
    expected.set(original.subarray(70 * CHUNK, 71 * CHUNK), 70 * CHUNK);
    expect(Buffer.compare(expected, readFileSync(target))).toBe(0);
  });

  test('overwrite earlier content, also with zeros', async () => {
    makeGarbageFile(target, SIZE);
    const everything = everythingOf(plain.map);
    expect(await compare(everything)).toEqual([...everything.positions]);
    await restore(wantedFrames(plain.packs, positionsById(plain.map)), { targetReadsAsZero: false });
    const empty = await compare(everything);
    expect(empty.every((position) => plain.map.get(position) === null)).toBe(true);
    expect(empty).toContain(45);
    await clear(empty);
    expect(await compare(everything)).toEqual([]);
    expectRestored();
    expect(allocatedBytes(target)).toBeLessThan(75 * CHUNK);
  });

  test('may leave out chunks that are there already', async () => {
    writeFileSync(target, original);
    const bytes = Buffer.from(original);
    bytes.fill(1, 61 * CHUNK + 5, 61 * CHUNK + 6);
    bytes.fill(1, 45 * CHUNK, 45 * CHUNK + 1);
    bytes.fill(1, SIZE - 1);
    writeFileSync(target, bytes);
    expect(await compare(everythingOf(plain.map))).toEqual([45, 61, CHUNKS]);
  });
});

test('chunks beyond the end of the target do not count as there', async () => {
  writeFileSync(target, original);
  truncateSync(target, 99 * CHUNK);
  expect(await compare(everythingOf(plain.map))).toEqual([99, 100]);
});

describe('a frame that is damaged', () => {
  /** The ids that are found damaged when the first frame is changed like this, sorted. */
  async function damagedBy(change: (frame: WantedFrame) => WantedFrame, of = plain): Promise<string[]> {
    makeSparseFile(target, SIZE);
    const [first, ...others] = wantedFrames(of.packs, positionsById(of.map));
    if (first === undefined) throw new Error('an image has frames');
    const sealKey = of === sealed ? key : null;
    const { chunks, damagedIds } = await restore([change(first), ...others], { sealKey });
    const damaged = Array.from({ length: damagedIds.length / 32 }, (_, row) =>
      hex(damagedIds.subarray(row * 32, row * 32 + 32)),
    );
    // all other chunks are written, and right
    expect(await compare(chunks)).toEqual([]);
    const missing = damaged.flatMap((id) => positionsById(of.map).get(id) ?? []);
    const written = new Set(chunks.positions);
    expect(missing.filter((position) => written.has(position))).toEqual([]);
    expect(written.size + new Set(missing).size).toBe([...positionsById(of.map).values()].flat().length);
    return damaged;
  }
  const idsOf = (frame: WantedFrame | undefined) => frame?.chunks.map(({ id }) => hex(id));
  const firstFrame = (of: CapturedImage) => wantedFrames(of.packs, positionsById(of.map))[0];

  test.each([
    [
      'changed',
      (bytes: Uint8Array) => bytes.map((byte, index) => (index === bytes.length >> 1 ? byte ^ 1 : byte)),
    ],
    ['cut off', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['empty', () => new Uint8Array(0)],
  ])('(%s) gives none of its chunks; the other frames give theirs', async (_, change) => {
    expect(await damagedBy((frame) => ({ ...frame, bytes: change(frame.bytes) }), sealed)).toEqual(
      idsOf(firstFrame(sealed)),
    );
  });

  test('still gives the chunks that match their ids', async () => {
    makeSparseFile(target, SIZE);
    const other = Buffer.alloc(32, 9);
    const [first, ...others] = wantedFrames(plain.packs, positionsById(plain.map));
    const [chunk, ...rest] = first?.chunks ?? [];
    if (first === undefined || chunk === undefined) throw new Error('an image has frames');
    const frames = [{ ...first, chunks: [{ ...chunk, id: other }, ...rest] }, ...others];
    const { damagedIds } = await restore(frames);
    expect(hex(damagedIds)).toBe(hex(other));
    expect(await compare(everythingOf(plain.map))).toEqual(chunk.positions);
  });

  test.each([
    ['longer than a frame may be', 2 ** 31 - 1],
    ['empty', 0],
    ['of another length', CHUNK - 1],
  ])('(with chunks listed as %s) gives none of them', async (_, length) => {
    const damaged = await damagedBy((frame) => ({
      ...frame,
      chunks: frame.chunks.map((chunk) => ({ ...chunk, length })),
    }));
    expect(damaged).toEqual(idsOf(firstFrame(plain)));
  });
});

test('a chunk is not written at a position for another length, or outside of the image', async () => {
  makeSparseFile(target, SIZE);
  for (const position of [CHUNKS, CHUNKS + 1]) {
    const wanted = new Map([[hex(plain.map.get(70) ?? new Uint8Array()), [position]]]);
    const { chunks, damagedIds } = await restore(wantedFrames(plain.packs, wanted));
    expect(chunks.positions).toHaveLength(0);
    expect(hex(damagedIds)).toBe(hex(plain.map.get(70) ?? new Uint8Array()));
  }
  expect(readFileSync(target).every((byte) => byte === 0)).toBe(true);
});

test('frames that were sealed with another key give nothing', async () => {
  makeSparseFile(target, SIZE);
  const { chunks, damagedIds } = await restore(wantedFrames(sealed.packs, positionsById(sealed.map)), {
    sealKey: Buffer.alloc(32, 'another'),
  });
  expect(chunks.positions).toHaveLength(0);
  expect(damagedIds.length / 32).toBe(positionsById(sealed.map).size);
});

describeUnless(loopDevicesMissing(), 'a device, and a file system without holes', () => {
  test('a device is restored like a file', async () => {
    const file = join(scratch.path, 'disk');
    makeGarbageFile(file, SIZE);
    using device = attachLoopDevice(file);
    await restore(wantedFrames(plain.packs, positionsById(plain.map)), {
      targetReadsAsZero: false,
      path: device.path,
    });
    await clear(await compare(everythingOf(plain.map), device.path), device.path);
    expect(await compare(everythingOf(plain.map), device.path)).toEqual([]);
    runTool('sync', [device.path]);
    expectRestored(readFileSync(device.path));
  });

  test('zeros are written as bytes if holes are impossible', async () => {
    const directory = join(scratch.path, 'mounted');
    mkdirSync(directory);
    runTool('mount', ['-t', 'ramfs', 'ramfs', directory]);
    try {
      const path = join(directory, 'restored');
      makeGarbageFile(path, SIZE);
      const fd = openSync(path, 'r+');
      const frames = wantedFrames(plain.packs, positionsById(plain.map));
      await pool.run({
        kind: 'apply',
        fd,
        directFd: null,
        grid,
        targetReadsAsZero: false,
        from: { sealKey: null, frames },
      });
      closeSync(fd);
      await clear(await compare(everythingOf(plain.map), path), path);
      expectRestored(readFileSync(path));
    } finally {
      runTool('umount', [directory]);
    }
  });
});

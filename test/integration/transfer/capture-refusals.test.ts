import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildPack, type Pack } from '../../../src/pack/pack.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import type { Failure } from '../../../src/failure.ts';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { ImageTarget } from '../../../src/image/target/image-target.ts';
import { captureImage } from '../../../src/transfer/capture.ts';
import type { ApplyPool } from '../../../src/transfer/compare-chunks.ts';
import type { ImageApply } from '../../../src/transfer/image-apply.ts';
import { peakMemoryBytes } from '../../support/programs/peak-memory.ts';
import {
  applyPacks,
  applyTo,
  captureFile,
  frameWorkerUrl,
  writePack,
  type CapturedImage,
} from '../../support/assembly.ts';
import { makeSparseFile, runTool, scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { loopDevicesMissing, mountDevice } from '../../support/images/loop-device.ts';
import { frameOf } from '../../support/stores/packs.ts';
import { writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { zstdBomb } from '../../support/zstd-frames.ts';

const CHUNK = 65536;
const sectors = 30 * 128 + 5;
const zstd = bestZstd();

const pool = new FramePool(frameWorkerUrl, 2);
const images = scratchDirectory();
const sourcePath = join(images.path, 'image');
let captured: CapturedImage;

beforeAll(async () => {
  writeSparseImage(sourcePath, {
    sectors,
    pieces: [
      { sector: 10, sectors: 500, kind: 'noise' },
      { sector: 20 * 128, sectors: 40, kind: 'text' },
      { sector: 30 * 128, sectors: 5, kind: 'ones' },
    ],
  });
  captured = await captureFile(sourcePath, pool);
});
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  images[Symbol.dispose]();
});

const meddlingPool: ApplyPool = {
  width: pool.width,
  run(job) {
    if (job.kind === 'read-back') beforeReadBack();
    return pool.run(job);
  },
};

let scratch: ReturnType<typeof scratchDirectory>;
let target: ImageTarget;
let apply: ImageApply;
/** Called before the first chunk is read back. */
let beforeReadBack: () => void;
beforeEach(async () => {
  scratch = scratchDirectory();
  target = await ImageTarget.create(join(scratch.path, 'moved'), sectors * 512);
  beforeReadBack = () => undefined;
  apply = applyTo(target, meddlingPool);
});
afterEach(async () => {
  await apply[Symbol.asyncDispose]();
  await target[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

function fileOf(pack: Pick<Pack, 'id' | 'bytes'>): string {
  return writePack(pack, scratch.path);
}

async function write(pack: Pick<Pack, 'id' | 'bytes'>): Promise<void> {
  await apply.write({ packId: pack.id, packPath: fileOf(pack) });
}

function onlyPack(): Pack {
  const [pack] = captured.packs;
  if (pack === undefined || captured.packs.length > 1) throw new Error('this image fits into one pack');
  return pack;
}

/** Changes the image behind the back of the apply, as another program might. */
function writeBehindItsBack(offset: number, bytes: Uint8Array): void {
  const fd = openSync(target.workingPath, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  fsyncSync(fd);
  closeSync(fd);
}

describe('a receiver refuses as damaged', () => {
  async function expectRefused(pack: Pack): Promise<void> {
    await expect(write(pack)).rejects.toMatchObject({ code: 'pack-damaged' });
  }

  test('a pack that is sent twice', async () => {
    await applyPacks(captured.packs, apply);
    await expectRefused(onlyPack());
  });

  test('a chunk that is in two packs', async () => {
    const chunk = Buffer.alloc(CHUNK, 'a');
    const first = await buildPack([frameOf(new Map([[3, chunk]]), zstd)]);
    const second = await buildPack([
      frameOf(
        new Map([
          [2, chunk],
          [3, chunk],
        ]),
        zstd,
      ),
    ]);
    await write(first);
    await expectRefused(second);
  });

  test('a chunk that is in two frames of a pack', async () => {
    const frame = frameOf(new Map([[3, Buffer.alloc(CHUNK, 'a')]]), zstd);
    await expectRefused(await buildPack([frame, frame]));
  });

  test('a chunk outside of the image', async () => {
    await expectRefused(await buildPack([frameOf(new Map([[31, Buffer.alloc(CHUNK, 'a')]]), zstd)]));
    await expectRefused(await buildPack([frameOf(new Map([[30, Buffer.alloc(CHUNK, 'a')]]), zstd)]));
  });

  test('a frame that would fill the memory', async () => {
    const { chunks } = frameOf(new Map([[3, Buffer.alloc(CHUNK, 'a')]]), zstd);
    const before = peakMemoryBytes();
    await expectRefused(await buildPack([{ chunks, compressed: zstdBomb(2 ** 33) }]));
    expect(peakMemoryBytes() - before).toBeLessThan(2 ** 28);
  });

  test('a frame that is not zstd', async () => {
    const { chunks } = frameOf(new Map([[3, Buffer.alloc(CHUNK, 'a')]]), zstd);
    await expectRefused(await buildPack([{ chunks, compressed: Buffer.alloc(500, 'gzip') }]));
  });
});

/** The image that the pack gives; null if it was refused when applied or when read back. */
async function imageOf(pack: Pack, name: string): Promise<Buffer | null> {
  await using fresh = await ImageTarget.create(join(scratch.path, name), sectors * 512);
  await using made = applyTo(fresh, pool);
  try {
    await applyPacks([pack], made);
    return (await made.verify()) === captured.map.fingerprint() ? readFileSync(fresh.workingPath) : null;
  } catch (error) {
    expect((error as Failure).code).toMatch(/^(pack-damaged|verification-failed)$/);
    return null;
  }
}

test('a pack with a changed byte is refused, unless it gives the same image', async () => {
  const pack = onlyPack();
  const image = readFileSync(sourcePath);
  const seed = Date.now() % 1000;
  const places = [0, 100, 1024, 1500, 2100, 3000, 20_000, 200_000];
  for (let place = seed; place < pack.bytes.length; place += pack.bytes.length / 30)
    places.push(Math.floor(place));
  let refused = 0;
  for (const place of places) {
    const bytes = new Uint8Array(pack.bytes);
    bytes[place] = (bytes[place] ?? 0) ^ 0x10;
    const made = await imageOf({ ...pack, bytes }, `changed-${place}`);
    if (made === null) refused++;
    else if (!made.equals(image))
      throw new Error(`byte ${place} was changed, and nobody noticed (seed ${seed})`);
  }
  // Bytes between the members may have any value.
  expect({ seed, most: refused > 0.8 * places.length }).toEqual({ seed, most: true });
});

test('a missing pack is not reported as damaged', async () => {
  await expect(
    apply.write({ packId: onlyPack().id, packPath: join(scratch.path, 'none') }),
  ).rejects.toMatchObject({
    code: 'read-failed',
  });
});

test('a file larger than any pack is refused before it fills the memory', async () => {
  const path = join(scratch.path, 'large');
  makeSparseFile(path, 2 ** 33);
  await expect(apply.write({ packId: onlyPack().id, packPath: path })).rejects.toMatchObject({
    code: 'pack-damaged',
  });
});

describe('reading back finds', () => {
  test('a changed byte', async () => {
    beforeReadBack = () => writeBehindItsBack(10 * 512 + 70_000, Buffer.from('x'));
    await write(onlyPack());
    await expect(apply.settled()).rejects.toMatchObject({
      code: 'verification-failed',
      message: expect.stringContaining(`at byte ${CHUNK}`),
    });
  });

  test('a chunk that does not match its id', async () => {
    const frame = frameOf(new Map([[3, Buffer.alloc(CHUNK, 'a')]]), zstd);
    const chunks = frame.chunks.map((chunk) => ({ ...chunk, id: Buffer.alloc(32, 1) }));
    const pack = await buildPack([{ ...frame, chunks }]);
    await write(pack);
    await expect(apply.settled()).rejects.toMatchObject({ code: 'verification-failed' });
  });

  test('data in a hole of a chunk that was sent', async () => {
    beforeReadBack = () => writeBehindItsBack(21 * CHUNK - 1, Buffer.from('x'));
    await write(onlyPack());
    await expect(apply.settled()).rejects.toMatchObject({ code: 'verification-failed' });
  });

  test('a hole where data was', async () => {
    beforeReadBack = () => writeBehindItsBack(30 * CHUNK, Buffer.alloc(512));
    await write(onlyPack());
    await expect(apply.settled()).rejects.toMatchObject({ code: 'verification-failed' });
  });

  test('an image that became shorter', async () => {
    beforeReadBack = () => truncateSync(target.workingPath, 30 * CHUNK + 512);
    await write(onlyPack());
    await expect(apply.settled()).rejects.toMatchObject({ code: 'verification-failed' });
  });

  test.each([10 * CHUNK, 11 * CHUNK - 1, 29 * CHUNK + 4096])(
    'data at byte %d, where none was sent',
    async (offset) => {
      await applyPacks(captured.packs, apply);
      writeBehindItsBack(offset, Buffer.from('x'));
      await expect(apply.verify()).rejects.toMatchObject({ code: 'verification-failed' });
    },
  );

  test('no difference in zeros where nothing was sent', async () => {
    await applyPacks(captured.packs, apply);
    writeBehindItsBack(10 * CHUNK, Buffer.alloc(8192));
    expect(await apply.verify()).toBe(captured.map.fingerprint());
  });

  test('a changed byte in a pack that is still being read back at the end', async () => {
    beforeReadBack = () => writeBehindItsBack(10 * 512 + 70_000, Buffer.from('x'));
    await write(onlyPack());
    await expect(apply.verify()).rejects.toMatchObject({ code: 'verification-failed' });
  });

  test('a changed byte, and then refuses further packs', async () => {
    beforeReadBack = () => writeBehindItsBack(10 * 512 + 70_000, Buffer.from('x'));
    await write(onlyPack());
    await apply.settled().catch(() => undefined);
    const pack = await buildPack([frameOf(new Map([[12, Buffer.alloc(CHUNK, 'a')]]), zstd)]);
    await expect(write(pack)).rejects.toMatchObject({ code: 'verification-failed' });
  });

  test('missing packs, by the fingerprint', async () => {
    expect(await apply.verify()).not.toBe(captured.map.fingerprint());
  });
});

test('a source that becomes shorter while it is read fails', async () => {
  const path = join(scratch.path, 'shrinking');
  writeSparseImage(path, { sectors: 80_000, pieces: [{ sector: 0, sectors: 80_000, kind: 'text' }] });
  await using source = await openImage(path);
  const extents = [...source.dataExtents()];
  truncateSync(path, 60_000 * 512);
  const capturing = (async () => {
    const map = new ChunkMap(chunkGridFor(source.sizeBytes));
    for await (const pack of captureImage(source, { extents, map, level: () => 1, pool }))
      expect(pack.id).toBeTruthy();
  })();
  await expect(capturing).rejects.toMatchObject({ code: 'read-failed' });
});

describeUnless(loopDevicesMissing(), 'on a disk of 4 KiB sectors', () => {
  /** A file system on a disk of its own. */
  async function onDisk(sizeMib: number, body: (directory: string) => Promise<void>): Promise<void> {
    const file = join(scratch.path, 'disk');
    closeSync(openSync(file, 'w'));
    truncateSync(file, sizeMib * 2 ** 20);
    runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', file]);
    const device = runTool('losetup', ['--find', '--show', '--sector-size', '4096', file]).trim();
    try {
      const directory = join(scratch.path, 'mounted');
      mkdirSync(directory);
      using mounted = mountDevice(device, directory);
      expect(mounted).toBeDefined();
      await body(directory);
    } finally {
      runTool('losetup', ['--detach', device]);
    }
  }

  test('an image that ends inside a sector of the disk is read back past the page cache', async () => {
    await onDisk(64, async (directory) => {
      await using image = await ImageTarget.create(join(directory, 'moved'), sectors * 512);
      const onDirect = applyTo(image, pool);
      expect(image.readBackMethod).toBe('direct');
      await applyPacks(captured.packs, onDirect);
      expect(await onDirect.verify()).toBe(captured.map.fingerprint());
    });
  });

  test('a full disk is named in the failure', async () => {
    const noise = seededBytes(5, 10 * 2 ** 20);
    const chunks = (frame: number) =>
      new Map(
        Array.from({ length: 16 }, (_, index) => {
          const position = frame * 16 + index;
          return [position, noise.subarray(position * CHUNK, (position + 1) * CHUNK)] as const;
        }),
      );
    const pack = await buildPack(Array.from({ length: 10 }, (_, frame) => frameOf(chunks(frame), zstd)));
    await onDisk(10, async (directory) => {
      await using image = await ImageTarget.create(join(directory, 'moved'), noise.length);
      const full = applyTo(image, pool);
      await expect(full.write({ packId: pack.id, packPath: fileOf(pack) })).rejects.toMatchObject({
        code: 'target-full',
      });
    });
  });
});

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PACK_LIMIT_BYTES } from '../../../src/pack/pack.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { ImageTarget } from '../../../src/image/target/image-target.ts';
import { applyPacks, applyTo, captureFile, frameWorkerUrl, writeCapture } from '../../support/assembly.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { restoreByScript } from '../../support/stores/restore-script.ts';
import {
  fileSha256,
  sparseImages,
  writeSparseImage,
  type SparseImage,
} from '../../support/images/sparse-images.ts';
import { toolsMissing } from '../../support/programs/tools.ts';

/** 20 MiB, and a bit. */
const MOST_SECTORS = 40_963;
/** Blocks of metadata that a file system may take for the extents of a ragged file. */
const METADATA_BYTES = 256 * 1024;

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

function allocatedBytes(path: string): number {
  return statSync(path).blocks * 512;
}

/** Captures the image, applies it, and compares the two. Returns how much was read and packed. */
async function expectMoved(
  image: SparseImage,
  byScriptToo = false,
): Promise<{ readBytes: number; packs: number }> {
  using scratch = scratchDirectory();
  const path = join(scratch.path, 'image');
  writeSparseImage(path, image);
  const captured = await captureFile(path, pool);
  await using target = await ImageTarget.create(join(scratch.path, 'moved'), image.sectors * 512);
  const apply = applyTo(target, pool);
  await applyPacks(captured.packs, apply);
  expect(await apply.verify()).toBe(captured.map.fingerprint());
  const sha256 = await fileSha256(path);
  expect(await fileSha256(target.workingPath)).toBe(sha256);
  expect(statSync(target.workingPath).size).toBe(image.sectors * 512);
  expect(allocatedBytes(target.workingPath)).toBeLessThanOrEqual(allocatedBytes(path) + METADATA_BYTES);
  if (byScriptToo) {
    const restored = join(scratch.path, 'restored');
    const result = restoreByScript(scratch.path, writeCapture(captured, scratch.path), restored);
    expect(result).toEqual({ status: 0, stdout: `${captured.map.fingerprint()}\n`, stderr: '' });
    expect(await fileSha256(restored)).toBe(sha256);
    expect(allocatedBytes(restored)).toBeLessThanOrEqual(allocatedBytes(path) + METADATA_BYTES);
  }
  return { readBytes: captured.readBytes, packs: captured.packs.length };
}

describe('an image that is captured and assembled again is the same:', () => {
  test('images of many shapes', async () => {
    await fc.assert(
      fc.asyncProperty(sparseImages(MOST_SECTORS), async (image) => {
        await expectMoved(image);
      }),
      { numRuns: 40, seed: Number(process.env['VMFERRY_TEST_SEED'] ?? 20_240_601), endOnFailure: true },
    );
  });

  const byScript = toolsMissing('zstd', 'tar', 'awk') === null;
  const whole = (sectors: number, kind: 'noise' | 'text' | 'zeros') => ({
    sectors,
    pieces: [{ sector: 0, sectors, kind }],
  });
  test.each<[string, SparseImage, number]>([
    ['one sector', whole(1, 'text'), 1],
    ['one sector of a hole', { sectors: 1, pieces: [] }, 0],
    ['a chunk', whole(128, 'noise'), 1],
    ['a chunk and a sector', whole(129, 'noise'), 1],
    ['a chunk but a sector', whole(127, 'noise'), 1],
    ['a frame and a sector', whole(2049, 'text'), 1],
    ['nothing but a hole', { sectors: 2 ** 27 / 512, pieces: [] }, 0],
    ['nothing but written zeros', whole(20_000, 'zeros'), 0],
    [
      'data at its very end',
      { sectors: 100_001, pieces: [{ sector: 100_000, sectors: 1, kind: 'ones' }] },
      1,
    ],
    ['several packs', whole(80_001, 'noise'), Math.ceil((80_001 * 512) / PACK_LIMIT_BYTES)],
  ])('%s', async (_, image, packs) => {
    // each worker closes a pack of its own at the end
    const made = (await expectMoved(image, byScript)).packs;
    expect(made).toBeGreaterThanOrEqual(packs);
    expect(made).toBeLessThanOrEqual(packs + 1);
  });

  test('an image of a few hundred MiB, whose holes are not read', async () => {
    const pieces = Array.from({ length: 60 }, (_, index) => ({
      sector: index * 10_000 + (index % 7) * 8,
      sectors: index % 3 === 0 ? 9000 : 4001,
      kind: (['text', 'noise', 'ones', 'zeros'] as const)[index % 4] ?? 'text',
    }));
    const { readBytes } = await expectMoved({ sectors: 610_003, pieces });
    const dataBytes = pieces.reduce((sum, piece) => sum + piece.sectors * 512, 0);
    expect(readBytes).toBeLessThan(dataBytes + pieces.length * 8192);
  });

  test('an image of 2 TiB with little data', async () => {
    const sectors = 2 ** 41 / 512;
    const pieces = [0, 12_345_678, sectors - 3].map((sector) => ({
      sector,
      sectors: 3,
      kind: 'text' as const,
    }));
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    writeSparseImage(path, { sectors, pieces });
    const captured = await captureFile(path, pool);
    expect(captured.map.grid.chunkBytes).toBe(2 ** 21);
    await using target = await ImageTarget.create(join(scratch.path, 'moved'), sectors * 512);
    const apply = applyTo(target, pool);
    await applyPacks(captured.packs, apply);
    expect(await apply.verify()).toBe(captured.map.fingerprint());
    expect(allocatedBytes(target.workingPath)).toBeLessThan(2 ** 17);
    expect((await captureFile(target.workingPath, pool)).map.fingerprint()).toBe(captured.map.fingerprint());
  });
});

import { closeSync, fstatSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { punchHole } from '../../../src/system/native.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../../support/assembly.ts';
import { directCopy } from '../../support/direct-copy.ts';
import { makeGarbageFile, runTool, scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { writeSparseImage } from '../../support/images/sparse-images.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const CHUNK = 65_536;
const CHUNKS = 80;
const imageBytes = CHUNKS * CHUNK + 4096;

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

/** Writes or frees some bytes anywhere. */
function change(path: string, random: () => number): void {
  const fd = openSync(path, 'r+');
  const sizeBytes = fstatSync(fd).size;
  const from = Math.floor(random() * sizeBytes);
  const length = Math.min(sizeBytes - from, 1 + Math.floor(random() * 3 * CHUNK));
  if (random() < 0.3) punchHole(fd, from, length);
  else writeSync(fd, seededBytes(Math.floor(random() * 1e6), length), 0, length, from);
  closeSync(fd);
}

test('a copy that is broken off and damaged, again and again, ends as the image is', async () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  for (let round = 0; round < 8; round++) {
    using scratch = scratchDirectory();
    const image = join(scratch.path, 'image');
    writeSparseImage(image, {
      sectors: imageBytes / 512,
      pieces: [
        { sector: 0, sectors: 30 * 128, kind: 'noise' },
        { sector: 50 * 128, sectors: 20 * 128, kind: 'text' },
      ],
    });
    const isWarm = random() < 0.5;
    let wasCopied = false;
    try {
      for (let breaks = 1 + Math.floor(random() * 3); breaks > 0; breaks--) {
        await using copy = await directCopy(image, scratch.path, pool, wasCopied);
        if (isWarm) {
          await copy.pass();
          wasCopied = true;
        } else await copy.lastPass();
        await copy.breakOff();
        for (let count = Math.floor(random() * 4); count > 0; count--)
          change(join(scratch.path, 'copy.partial'), random);
        if (isWarm) change(image, random);
      }
      await using copy = await directCopy(image, scratch.path, pool, wasCopied);
      await copy.lastPass();
      await copy.finish();
      await copy.publish();
      expect(readFileSync(join(scratch.path, 'copy')).equals(readFileSync(image))).toBe(true);
      expect(readdirSync(scratch.path).toSorted()).toEqual(['copy', 'image']);
    } catch (error) {
      throw new Error(`VMFERRY_TEST_SEED=${seed}, round ${round}`, { cause: error });
    }
  }
});

test('a copy that goes on sends nothing that is there already', async () => {
  using scratch = scratchDirectory();
  const image = join(scratch.path, 'image');
  makeGarbageFile(image, 16 * 2 ** 20);
  runTool('mke2fs', ['-qF', '-t', 'ext4', image]);
  {
    await using copy = await directCopy(image, scratch.path, pool);
    expect((await copy.lastPass()).changedBytes).toBeGreaterThan(0);
    await copy.breakOff();
  }
  await using copy = await directCopy(image, scratch.path, pool);
  expect(await copy.lastPass()).toMatchObject({ changedBytes: 0, sentBytes: 0 });
  await copy.finish();
  await copy.publish();
});

import { closeSync, openSync, readdirSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { punchHole } from '../../../src/system/native.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../../support/assembly.ts';
import { directCopy, type DirectCopy } from '../../support/direct-copy.ts';
import {
  BLOCK,
  changeDisk,
  CHUNK,
  makeChangingDisk,
  whileChanging,
} from '../../support/images/changing-disk.ts';
import {
  filesInExt,
  makeGarbageFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../support/images/images.ts';
import { mountingMissing, mountNew, type MountedKind } from '../../support/images/reflink-file-system.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

function change(image: string, random: () => number): void {
  const fd = openSync(image, 'r+');
  changeDisk(fd, random);
  closeSync(fd);
}

const places: { name: string; kind: MountedKind | null }[] = [
  { name: 'on any file system', kind: null },
  { name: 'on XFS, by clones', kind: 'xfs' },
  { name: 'on btrfs, by clones', kind: 'btrfs' },
];

describe.each(places)('an image that is copied while it changes, $name', ({ kind }) => {
  describeUnless(kind === null ? null : mountingMissing(kind), 'with file system', () => {
    let scratch: Disposable & { path: string };
    let image: string;
    let copy: DirectCopy;
    beforeEach(async () => {
      scratch = kind === null ? scratchDirectory() : mountNew(kind);
      image = join(scratch.path, 'image');
      makeChangingDisk(image);
      copy = await directCopy(image, scratch.path, pool);
    });
    afterEach(async () => {
      await copy[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    });

    test('is copied whole, and its clones are removed', async () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      try {
        for (let pass = 0; pass < 3; pass++) {
          await whileChanging(() => change(image, random), copy.pass());
          for (let count = 0; count < 5; count++) change(image, random);
        }
        await copy.lastPass();
        await copy.finish();
        await copy.publish();
        expect(readFileSync(join(scratch.path, 'copy')).equals(readFileSync(image))).toBe(true);
      } catch (error) {
        throw new Error(`VMFERRY_TEST_SEED=${seed}`, { cause: error });
      }
      await copy[Symbol.asyncDispose]();
      expect(readdirSync(scratch.path).filter((name) => name.includes('vmferry'))).toEqual([]);
    });

    test('is sent once: later passes send what has changed, and by clones read nothing else', async () => {
      const first = await copy.pass();
      expect(first.changedBytes).toBe(94 * CHUNK);
      expect(await copy.pass()).toMatchObject({ changedBytes: 0, ...(kind !== null && { readBytes: 0 }) });
      const fd = openSync(image, 'r+');
      writeSync(fd, seededBytes(7, BLOCK), 0, BLOCK, 10 * CHUNK);
      punchHole(fd, 20 * CHUNK, 2 * CHUNK);
      closeSync(fd);
      const last = await copy.lastPass();
      expect(last).toMatchObject({ changedBytes: CHUNK, ...(kind !== null && { readBytes: CHUNK }) });
      await copy.finish();
      await copy.publish();
      expect(readFileSync(join(scratch.path, 'copy')).equals(readFileSync(image))).toBe(true);
      expect(copy.events.filter(({ type }) => type === 'warning')).toEqual([]);
    });
  });
});

describe('a copy in passes', () => {
  let scratch: Disposable & { path: string };
  let image: string;
  beforeEach(() => {
    scratch = scratchDirectory();
    image = join(scratch.path, 'image');
  });
  afterEach(() => {
    scratch[Symbol.dispose]();
  });

  test('leaves out what the halted guest has freed, and keeps its files', async () => {
    makeGarbageFile(image, 16 * 2 ** 20);
    runTool('mke2fs', ['-qF', '-t', 'ext4', '-E', 'nodiscard', image]);
    const kept = join(scratch.path, 'kept');
    makeGarbageFile(kept, 2 ** 20);
    const put = (name: string) => runTool('debugfs', ['-w', '-R', `write ${kept} /${name}`, image]);
    put('kept');
    put('removed');
    await using copy = await directCopy(image, scratch.path, pool);
    await copy.pass();
    runTool('debugfs', ['-w', '-R', 'rm /removed', image]);
    put('added');
    runTool('debugfs', ['-w', '-R', 'rm /kept', image]);
    await copy.lastPass();
    await copy.finish();
    await copy.publish();
    const moved = join(scratch.path, 'copy');
    runTool('e2fsck', ['-fn', moved]);
    expect(filesInExt(moved)).toEqual(filesInExt(image));
    // Nearly all of it had been sent; what is free now takes no room.
    expect(statSync(moved).blocks * 512).toBeLessThan(8 * 2 ** 20);
  });

  test('is refused if the image has got another size', async () => {
    makeGarbageFile(image, 4 * CHUNK);
    await using copy = await directCopy(image, scratch.path, pool);
    await copy.pass();
    truncateSync(image, 5 * CHUNK);
    await expect(copy.lastPass()).rejects.toMatchObject({ code: 'image-in-use' });
  });

  test('a receiver that claims a chunk which it has not is found by the fingerprint', async () => {
    makeGarbageFile(image, 40 * CHUNK);
    await using copy = await directCopy(image, scratch.path, pool);
    await copy.pass();
    const fd = openSync(image, 'r+');
    writeSync(fd, seededBytes(3, CHUNK), 0, CHUNK, 11 * CHUNK);
    closeSync(fd);
    copy.losesPacks = true;
    await copy.lastPass();
    await expect(copy.finish()).rejects.toMatchObject({ code: 'verification-failed' });
  });
});

import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ChunksThere } from '../../../src/operations/migrate/passes/chunks-there.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../../support/assembly.ts';
import { directCopy, type DirectCopy } from '../../support/direct-copy.ts';
import { changeDisk, CHUNK, makeChangingDisk, whileChanging } from '../../support/images/changing-disk.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

function write(path: string, position: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, position * CHUNK);
  closeSync(fd);
}

describe('an image that shares chunks with one that the same command has moved', () => {
  const CHUNKS = 40;
  let scratch: Disposable & { path: string };
  let earlier: string;
  let image: string;
  let chunksThere: ChunksThere;
  const jobs = jest.spyOn(pool, 'run');
  beforeEach(async () => {
    scratch = scratchDirectory();
    earlier = join(scratch.path, 'earlier');
    image = join(scratch.path, 'image');
    writeFileSync(earlier, seededBytes(1, CHUNKS * CHUNK));
    copyFileSync(earlier, image);
    // Two chunks change their places, and two are its own.
    write(image, 5, readFileSync(earlier).subarray(20 * CHUNK, 21 * CHUNK));
    write(image, 20, readFileSync(earlier).subarray(5 * CHUNK, 6 * CHUNK));
    write(image, 8, seededBytes(8, 2 * CHUNK));
    chunksThere = new ChunksThere();
    await using copy = await copyOf(earlier, 'earlier-there');
    await copy.lastPass();
    await copy.finish();
    await copy.publish();
  });
  afterEach(() => {
    jobs.mockClear();
    scratch[Symbol.dispose]();
  });

  const copyOf = (path: string, name: string): Promise<DirectCopy> =>
    directCopy(path, scratch.path, pool, false, 'raw', { name, chunksThere });
  const there = (name: string) => join(scratch.path, name);

  /** The chunks that were read to be sent. */
  const readChunks = (): number =>
    jobs.mock.calls.reduce((sum, [job]) => sum + (job.kind === 'capture' ? job.plan.positions.length : 0), 0);

  /** Moves the image. Returns how many chunks were sent. */
  async function move(): Promise<number> {
    jobs.mockClear();
    await using copy = await copyOf(image, 'there');
    const { changedBytes, sentBytes } = await copy.lastPass();
    expect(changedBytes).toBe(CHUNKS * CHUNK);
    await copy.finish();
    await copy.publish();
    expect(readFileSync(there('there')).equals(readFileSync(image))).toBe(true);
    const sent = CHUNKS - chunksThere.takenBytesOf(there('there')) / CHUNK;
    // They are noise, which does not compress.
    expect(Math.floor(sentBytes / CHUNK)).toBe(sent);
    const progress = copy.events.filter((event) => event.type === 'progress' && event.stage === 'copy');
    expect(progress.at(-1)).toMatchObject({
      doneBytes: CHUNKS * CHUNK,
      totalBytes: CHUNKS * CHUNK,
      sentBytes,
    });
    expect(Math.max(...progress.map((event) => (event as { doneBytes: number }).doneBytes))).toBe(
      CHUNKS * CHUNK,
    );
    return sent;
  }

  test('is sent without them', async () => {
    expect(await move()).toBe(2);
  });

  test('is sent with those that the earlier guest has changed there since', async () => {
    write(there('earlier-there'), 30, seededBytes(30, 3 * CHUNK));
    expect(await move()).toBe(5);
    expect(readChunks()).toBe(CHUNKS + 3);
  });

  test('is read only once if the move of the earlier image has failed', async () => {
    chunksThere = new ChunksThere();
    {
      await using copy = await copyOf(earlier, 'broken-off');
      await copy.lastPass();
      await copy.finish();
      await copy.breakOff();
    }
    expect(await move()).toBe(CHUNKS);
    expect(readChunks()).toBe(CHUNKS);
  });

  test('is sent whole if the earlier image is gone', async () => {
    rmSync(there('earlier-there'));
    expect(await move()).toBe(CHUNKS);
  });

  test('is sent whole if another file has the name of the earlier image: the receiver reads no file that it has not written', async () => {
    copyFileSync(there('earlier-there'), there('other'));
    renameSync(there('other'), there('earlier-there'));
    expect(await move()).toBe(CHUNKS);
  });
});

test('images that change while they are copied share what they have, and end as they are', async () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  const change = (image: string) => {
    const fd = openSync(image, 'r+');
    changeDisk(fd, random);
    closeSync(fd);
  };
  try {
    using scratch = scratchDirectory();
    const chunksThere = new ChunksThere();
    const template = join(scratch.path, 'template');
    makeChangingDisk(template);
    let takenBytes = 0;
    for (const name of ['one', 'two', 'three', 'four']) {
      const image = join(scratch.path, name);
      copyFileSync(template, image);
      const copy = await directCopy(image, scratch.path, pool, false, 'raw', {
        name: `${name}-there`,
        chunksThere,
      });
      await using _ = copy;
      for (let pass = 0; pass < 2; pass++) {
        // With more, nothing would be left that they share.
        let changes = 5;
        await whileChanging(() => changes-- > 0 && change(image), copy.pass());
      }
      await copy.lastPass();
      await copy.finish();
      await copy.publish();
      expect(readFileSync(join(scratch.path, `${name}-there`)).equals(readFileSync(image))).toBe(true);
      takenBytes += chunksThere.takenBytesOf(join(scratch.path, `${name}-there`));
      // It runs there now, and changes its disk.
      change(join(scratch.path, `${name}-there`));
    }
    expect(takenBytes).toBeGreaterThan(0);
  } catch (error) {
    throw new Error(`VMFERRY_TEST_SEED=${seed}`, { cause: error });
  }
});

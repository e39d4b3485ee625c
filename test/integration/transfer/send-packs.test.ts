import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { KnownChunks } from '../../../src/chunk/known-chunks.ts';
import type { Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { sendPacks, type PackSink } from '../../../src/transfer/send-packs.ts';
import { SendProgress } from '../../../src/transfer/send-progress.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../../support/assembly.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';

const CHUNK = 65_536;
const CHUNKS = 800;

const pool = new FramePool(frameWorkerUrl, 2);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

let scratch: ReturnType<typeof scratchDirectory>;
let path: string;
let bytes: Uint8Array;
let map: ChunkMap;
let events: Event[];
beforeEach(() => {
  scratch = scratchDirectory();
  path = join(scratch.path, 'image');
  bytes = seededBytes(1, CHUNKS * CHUNK);
  writeFileSync(path, bytes);
  map = new ChunkMap(chunkGridFor(bytes.length));
  events = [];
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

/** One pass over the whole image. Returns the plain bytes that were sent. */
async function pass(
  known: KnownChunks,
  to: PackSink = sink(),
  signal: AbortSignal = new AbortController().signal,
): Promise<number> {
  await using source = await openImage(path);
  const progress = new SendProgress('copy', bytes.length, { signal, report: (event) => events.push(event) });
  const extents = source.dataExtents();
  let plainBytes = 0;
  const counting: PackSink = {
    async put(pack, ...rest) {
      plainBytes += pack.plainBytes;
      await to.put(pack, ...rest);
    },
  };
  const sending = { pool, compression: 1, known, sink: counting };
  await sendPacks({ source, extents, map, progress }, sending, signal);
  return plainBytes;
}

function sink(work: () => Promise<void> = () => Promise.resolve()): PackSink {
  return {
    async put(pack, _signal, onWritten) {
      await work();
      onWritten(pack.bytes.length);
    },
  };
}

function knownChunks(): KnownChunks {
  return KnownChunks.withRoomFor(2 * CHUNKS);
}

test('a second pass with the same known chunks sends only what has changed', async () => {
  const known = knownChunks();
  expect(await pass(known)).toBe(bytes.length);
  const before = map.fingerprint();
  bytes.set(seededBytes(2, 3 * CHUNK), 10 * CHUNK);
  writeFileSync(path, bytes);
  expect(await pass(known)).toBe(3 * CHUNK);
  expect(map.fingerprint()).not.toBe(before);
  expect(await pass(knownChunks())).toBe(bytes.length);
});

test('progress counts bytes after their arrival, and ends with all bytes', async () => {
  const doneBytes: number[] = [];
  const slow = async () => {
    await delay(100);
    doneBytes.push(...events.map((event) => (event.type === 'progress' ? event.doneBytes : 0)));
  };
  await pass(knownChunks(), sink(slow));
  // Before the first pack has arrived, nothing is done.
  expect(doneBytes[0]).toBe(0);
  expect(events.at(-1)).toMatchObject({ doneBytes: bytes.length, totalBytes: bytes.length });
});

test('at most three packs are sent at the same time', async () => {
  let atOnce = 0;
  let most = 0;
  let release = () => undefined as void;
  const threeAreSent = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = async () => {
    most = Math.max(most, ++atOnce);
    if (atOnce === 3) release();
    await threeAreSent;
    // Long enough for a fourth to come, if it could.
    await delay(50);
    atOnce--;
  };
  await pass(knownChunks(), sink(slow));
  expect(most).toBe(3);
});

test('a pack that cannot be sent ends the pass with its failure', async () => {
  const full = new Failure('target-full', 'It is full.');
  const passing = pass(
    knownChunks(),
    sink(() => Promise.reject(full)),
  );
  await expect(passing).rejects.toBe(full);
});

test('an abort ends the pass', async () => {
  const stopping = new AbortController();
  const passing = pass(
    knownChunks(),
    sink(() => Promise.resolve(stopping.abort(new Failure('interrupted', 'Stopped.')))),
    stopping.signal,
  );
  await expect(passing).rejects.toMatchObject({ code: 'interrupted' });
});

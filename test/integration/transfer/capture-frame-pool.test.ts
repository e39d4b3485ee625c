import { PACK_LIMIT_BYTES } from '../../../src/pack/pack.ts';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { packIdOf } from '../../../src/pack/pack-format.ts';
import { Failure } from '../../../src/failure.ts';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import type { CaptureJob } from '../../../src/workers/jobs.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';

const CHUNK = 65536;
const workerUrl = new URL('../../../dist/workers/frame-worker.js', import.meta.url);
const scratch = scratchDirectory();
let fd: number;

beforeAll(() => {
  const path = join(scratch.path, 'image');
  writeFileSync(path, seededBytes(1, 64 * CHUNK));
  fd = openSync(path, 'r');
});
afterAll(() => {
  closeSync(fd);
  scratch[Symbol.dispose]();
});

/** A job that reads 16 chunks, beginning with the given one. */
function captureJob(first: number, overrides: Partial<CaptureJob> = {}): CaptureJob {
  const positions = Array.from({ length: 16 }, (_, index) => first + index);
  const reads = [{ offset: first * CHUNK, into: 0, length: 16 * CHUNK }];
  const plan = { positions, reads };
  return {
    kind: 'capture',
    capture: 1,
    fd,
    grid: chunkGridFor(64 * CHUNK),
    level: 3,
    plan,
    packNaming: 'sha256',
    packLimitBytes: PACK_LIMIT_BYTES,
    known: null,
    there: null,
    elsewhere: null,
    sealKey: null,
    ...overrides,
  };
}

function workerOf(script: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(script)}`);
}

describe('a frame pool', () => {
  test('does jobs on several workers and answers each with its own result', async () => {
    await using pool = new FramePool(workerUrl, 3);
    const firsts = Array.from({ length: 30 }, (_, index) => (index * 7) % 48);
    const results = await Promise.all(firsts.map((first) => pool.run(captureJob(first))));
    expect(results.map(({ chunks }) => chunks.positions[0])).toEqual(firsts);
    expect(results.every(({ readBytes }) => readBytes === 16 * CHUNK)).toBe(true);
  });

  test('keeps all its workers busy', () => {
    const pool = new FramePool(workerUrl, 2);
    expect(pool.width).toBeGreaterThanOrEqual(4);
    return pool[Symbol.asyncDispose]();
  });

  test('lets a worker unpack while it waits for the disk, but begins nothing else before it has read', async () => {
    await using pool = new FramePool(workerUrl, 1);
    const ended: string[] = [];
    const done = async <Result>(name: string, job: Promise<Result>): Promise<Result> => {
      const result = await job;
      ended.push(name);
      return result;
    };
    const grid = chunkGridFor(64 * CHUNK);
    const positions = Uint32Array.from({ length: 64 }, (_, index) => index);
    const identify = { kind: 'identify', fd, grid, positions } as const;
    const frame = bestZstd().compress(Buffer.alloc(1000, 7), 3);
    const memory = new SharedArrayBuffer(4096);
    new Uint8Array(memory).set(frame);
    const unpack = { kind: 'decompress', memory, frameBytes: frame.length, plainBytes: 1000 } as const;
    // More than are done at once, each with memory of its own.
    const several = Array.from({ length: 5 }, () => done('read', pool.run(identify)));
    const unpacked = done('unpacked', pool.run(unpack));
    const captured = done('captured', pool.run(captureJob(0)));
    const found = await Promise.all(several);
    await Promise.all([unpacked, captured]);
    expect(new Uint8Array(memory)[999]).toBe(7);
    const image = seededBytes(1, 64 * CHUNK);
    const ids = Array.from(positions, (at) => chunkId(image.subarray(at * CHUNK, (at + 1) * CHUNK)));
    for (const { chunks } of found) expect(Buffer.from(chunks.ids)).toEqual(Buffer.concat(ids));
    expect(ended.at(-1)).toBe('captured');
    expect(ended.indexOf('unpacked')).toBeLessThan(5);
  });

  test('rejects with the failure of a job, and does further jobs', async () => {
    await using pool = new FramePool(workerUrl, 1);
    const beyond = captureJob(0, {
      plan: { positions: [70], reads: [{ offset: 70 * CHUNK, into: 0, length: 512 }] },
    });
    const failure = await pool.run(beyond).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({
      code: 'read-failed',
      message: expect.stringContaining(String(70 * CHUNK)),
    });
    expect((await pool.run(captureJob(0))).chunks.positions).toHaveLength(16);
  });

  test('keeps the advice of a failure', async () => {
    await using pool = new FramePool(workerUrl, 1);
    const closed = captureJob(0, { fd: 9999 });
    await expect(pool.run(closed)).rejects.toMatchObject({
      code: 'read-failed',
      advice: expect.stringContaining('dmesg'),
    });
  });

  test('makes new packs in the memory of finished packs', async () => {
    await using pool = new FramePool(workerUrl, 1);
    const ids: string[] = [];
    for (let capture = 1; capture <= 3; capture++) {
      await pool.run(captureJob(0, { capture }));
      const [{ pack } = { pack: null }] = await pool.runOnEach({ kind: 'flush', capture });
      if (pack === null) throw new Error('no pack');
      expect(packIdOf([pack.bytes])).toBe(pack.id);
      ids.push(pack.id);
      pool.reuse(pack);
      expect(pack.bytes).toHaveLength(0);
    }
    expect(new Set(ids).size).toBe(1);
  });

  test('that is disposed of during work settles all jobs, and does no further work', async () => {
    const pool = new FramePool(workerUrl, 2);
    const jobs = Array.from({ length: 400 }, (_, index) => pool.run(captureJob(index % 48, { level: 9 })));
    const outcomes = Promise.allSettled(jobs);
    await Promise.race(jobs);
    await pool[Symbol.asyncDispose]();
    const rejected = (await outcomes).filter((outcome) => outcome.status === 'rejected');
    expect(rejected.length).toBeGreaterThan(0);
    for (const { reason } of rejected) expect(reason).toMatchObject({ code: 'interrupted' });
    await expect(pool.run(captureJob(0))).rejects.toMatchObject({ code: 'interrupted' });
    await pool[Symbol.asyncDispose]();
  });

  const onMessage = 'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => {';
  test.each([
    ['throws while it starts', 'throw new Error("no start")'],
    ['ends while it starts', 'process.exit(3)'],
    ['throws at work', `${onMessage} throw new Error("at work") })`],
    ['ends at work', `${onMessage} process.exit(0) })`],
    ['is not one', 'import "./no-such-module.js"'],
  ])('whose worker %s rejects everything, now and later', async (_, script) => {
    await using pool = new FramePool(workerOf(script), 2);
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map((first) => pool.run(captureJob(first))));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    await expect(pool.run(captureJob(0))).rejects.toMatchObject({ code: 'internal' });
  });
});

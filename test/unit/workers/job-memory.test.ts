import { expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { freeMemoryOf, memoryOf, withIdsOfTheirOwn } from '../../../src/workers/job-memory.ts';
import type { ApplyJob, CheckFramesJob, WantedFrames } from '../../../src/workers/jobs.ts';

const index = new Uint8Array(2 ** 20).fill(7);
const answer = new Uint8Array(2 ** 17);
const bytes = [answer.subarray(0, 1000), answer.subarray(1000, 90_000)];
const frames = bytes.map((frameBytes, row) => ({
  bytes: frameBytes,
  chunks: [{ id: index.subarray(row * 32, row * 32 + 32), length: 512, positions: [row] }],
}));
const jobs: (ApplyJob | CheckFramesJob)[] = [
  {
    kind: 'apply',
    fd: 0,
    directFd: null,
    grid: chunkGridFor(1024),
    targetReadsAsZero: true,
    from: { sealKey: null, frames },
  },
  { kind: 'check-frames', frames, sealKey: null },
];

test.each(jobs)('a job to $kind frames hands over their bytes, and of the index only their ids', (job) => {
  const sent = withIdsOfTheirOwn(job) as typeof job;
  const sentFrames = sent.kind === 'apply' ? (sent.from as WantedFrames).frames : sent.frames;
  expect(sentFrames.map(({ chunks }) => chunks)).toEqual(frames.map(({ chunks }) => chunks));
  for (const { chunks } of sentFrames) expect(chunks[0]?.id.buffer.byteLength).toBe(64);
  expect(memoryOf(sent)).toEqual([answer.buffer]);
});

test('small buffers, which share Node’s common memory, are not handed over', () => {
  const small = Buffer.from('a pack');
  expect(memoryOf({ kind: 'check', packId: '', packParts: [small, answer], sealKey: null })).toEqual([
    answer.buffer,
  ]);
});

test('a job without bytes hands over no memory', () => {
  const grid = chunkGridFor(1024);
  const job = { kind: 'clear', fd: 0, grid, positions: Uint32Array.of(1) } as const;
  expect(withIdsOfTheirOwn(job)).toBe(job);
  expect(memoryOf(job)).toEqual([]);
});

test('the memory of a finished job is freed, except shared memory', () => {
  const packParts = [Buffer.from('a pack'), new Uint8Array(2 ** 16)] as const;
  freeMemoryOf({ kind: 'check', packId: '', packParts, sealKey: null });
  expect(packParts.map(({ length }) => length)).toEqual([6, 0]);
});

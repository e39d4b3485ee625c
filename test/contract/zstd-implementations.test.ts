import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { zstdImplementations, type Zstd } from '../../src/codec/zstd.ts';
import { Failure } from '../../src/failure.ts';
import { peakMemoryBytes } from '../support/programs/peak-memory.ts';
import { describeWithTools, findTool } from '../support/programs/tools.ts';
import { plainSamples, zstdBomb, zstdFrameOf } from '../support/zstd-frames.ts';

/*
 * Tests the promises of `Zstd` for every implementation that this Node has. Node 20 has no zstd in node:zlib;
 * zstd-node-22.test.ts and its like run this file under a Node that has it.
 */

const implementations = [...zstdImplementations()];
const samples = Object.entries(plainSamples());
/** The slowest levels split blocks in the most ways; a few samples show it. */
const slowLevels = { levels: [19], samples: samples.filter(([name]) => /16384|32768|text/.test(name)) };
const fastLevels = { levels: [1, 3, 9], samples };

function isSame(first: Uint8Array, second: Uint8Array): boolean {
  return Buffer.compare(first, second) === 0;
}

function failureOf(call: () => unknown): Failure | null {
  try {
    call();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    return error as Failure;
  }
}

function expectRefused(call: () => unknown): void {
  expect(failureOf(call)?.code).toBe('pack-damaged');
}

const program = (args: readonly string[], input: Uint8Array) =>
  execFileSync(findTool('zstd') ?? 'zstd', ['-q', '-c', ...args], { input, maxBuffer: 2 ** 28 });

test('the system’s library comes first, then the addon, then node:zlib where it has zstd', () => {
  const hasZstd = 'zstdCompressSync' in process.getBuiltinModule('node:zlib');
  const isCi = process.env['CI'] === 'true';
  const names = implementations.map(({ name }) => name);
  const ofNode = hasZstd ? ['node-zstd', 'node:zlib'] : ['node-zstd'];
  // A system may lack the library; the machine that tests every change does not.
  expect(names).toEqual(names.includes('libzstd') || isCi ? ['libzstd', ...ofNode] : ofNode);
});

describe.each(implementations.map((zstd): [string, Zstd] => [zstd.name, zstd]))('zstd by %s', (_, zstd) => {
  const others = implementations.filter((other) => other !== zstd);

  describe.each([fastLevels, slowLevels])('at levels $levels', (at) => {
    test.each(at.samples)('round trip of %s', (_name, plain) => {
      for (const level of at.levels) {
        const frame = zstd.compress(plain, level);
        expect(isSame(zstd.decompress(frame, plain.length), plain)).toBe(true);
        for (const other of others) expect(isSame(other.decompress(frame, plain.length), plain)).toBe(true);
      }
    });
  });

  test('round trip of anything', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 5000 }),
        fc.integer({ min: 1, max: 9 }),
        (plain, level) => {
          expect(isSame(zstd.decompress(zstd.compress(plain, level), plain.length), plain)).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('accepts a view into larger memory', () => {
    const [, plain] = samples.find(([name]) => name === 'text') ?? ['', Buffer.alloc(0)];
    const piece = plain.subarray(1001, 90_003);
    const frame = zstd.compress(piece, 3);
    const padded = Buffer.concat([Buffer.alloc(13, 255), frame, Buffer.alloc(13, 255)]);
    const back = zstd.decompress(
      new Uint8Array(padded.buffer, padded.byteOffset + 13, frame.length),
      piece.length,
    );
    expect(isSame(back, piece)).toBe(true);
  });

  test('does not overwrite earlier results', () => {
    const first = zstd.compress(Buffer.alloc(5000, 'first'), 3);
    const second = zstd.compress(Buffer.alloc(5000, 'second'), 3);
    const plain = zstd.decompress(first, 5000);
    zstd.decompress(second, 5000);
    expect(isSame(plain, Buffer.alloc(5000, 'first'))).toBe(true);
  });

  test('works with given memory of any size, and changes nothing around it', () => {
    const plain = samples.find(([name]) => name === 'text')?.[1] ?? Buffer.alloc(0);
    for (const roomBytes of [0, 10, plain.length - 1, plain.length, 2 * plain.length]) {
      const memory = Buffer.alloc(roomBytes + 20, 1);
      const room = memory.subarray(10, 10 + roomBytes);
      const frame = Buffer.from(zstd.compress(plain, 3, room));
      expect(isSame(zstd.decompress(frame, plain.length, room), plain)).toBe(true);
      expect([memory.subarray(0, 10), memory.subarray(10 + roomBytes)]).toEqual([
        Buffer.alloc(10, 1),
        Buffer.alloc(10, 1),
      ]);
    }
  });

  test('never changes its input', () => {
    const plain = Buffer.alloc(5000, 'plain');
    const frame = zstd.compress(plain, 3);
    const copy = Buffer.from(frame);
    zstd.decompress(frame, 5000);
    expect(isSame(frame, copy)).toBe(true);
    expect(isSame(plain, Buffer.alloc(5000, 'plain'))).toBe(true);
  });

  test('refuses a frame that holds more or less than it should', () => {
    for (const [, plain] of samples) {
      const frame = zstd.compress(plain, 1);
      for (const wrong of [plain.length - 1, plain.length + 1, 2 * plain.length])
        expectRefused(() => zstd.decompress(frame, wrong));
    }
  });

  test('refuses a bomb before it grows', () => {
    const bombs = [zstdBomb(2 ** 33), zstdBomb(2 ** 33, 2 ** 20), zstdBomb(2 ** 33, 2 ** 33)];
    const before = peakMemoryBytes();
    for (const bomb of bombs) expectRefused(() => zstd.decompress(bomb, 2 ** 20));
    expect(peakMemoryBytes() - before).toBeLessThan(2 ** 28);
  });

  test('refuses a second frame behind the first', () => {
    const half = Buffer.alloc(5000, 'half');
    const frame = zstd.compress(half, 3);
    expectRefused(() => zstd.decompress(Buffer.concat([frame, frame]), 10_000));
    expectRefused(() => zstd.decompress(Buffer.concat([frame, zstdBomb(2 ** 33)]), 5000));
  });

  test('refuses a frame cut off anywhere', () => {
    const frame = zstd.compress(Buffer.from(samples.map(([name]) => name).join()), 3);
    for (let length = 0; length < frame.length; length++)
      expectRefused(() => zstd.decompress(frame.subarray(0, length), 1000));
  });

  test('refuses a damaged frame, or gives other bytes of the same length', () => {
    const plain = (samples.find(([name]) => name.includes('4096')) ?? samples[0])?.[1].subarray(0, 40_000);
    if (plain === undefined) throw new Error('no samples');
    const frame = zstd.compress(plain, 3);
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const damaged = Buffer.from(frame);
        damaged[place % damaged.length] = (damaged[place % damaged.length] ?? 0) ^ change;
        const failure = failureOf(() => {
          expect(zstd.decompress(damaged, plain.length).length).toBe(plain.length);
        });
        if (failure !== null) expect(failure.code).toBe('pack-damaged');
      }),
      { numRuns: 300 },
    );
  });

  test('refuses noise and frames of an unknown kind', () => {
    expectRefused(() => zstd.decompress(Buffer.alloc(100, 'noise'), 100));
    expectRefused(() => zstd.decompress(Buffer.alloc(0), 1));
    expectRefused(() => zstd.decompress(zstdFrameOf({ blocks: [{ type: 'reserved' }] }), 100));
  });

  describeWithTools('and the zstd program', ['zstd'], () => {
    test.each(samples)('read each other: %s', (_name, plain) => {
      expect(isSame(program(['-d'], zstd.compress(plain, 3)), plain)).toBe(true);
      for (const args of [['-1'], ['-3', '--no-check'], ['-3', `--stream-size=${plain.length}`]])
        expect(isSame(zstd.decompress(program(args, plain), plain.length), plain)).toBe(true);
    });

    test.each(slowLevels.samples)('read each other at the highest levels: %s', (_name, plain) => {
      expect(isSame(program(['-d'], zstd.compress(plain, 19)), plain)).toBe(true);
      expect(isSame(zstd.decompress(program(['-19'], plain), plain.length), plain)).toBe(true);
    });
  });
});

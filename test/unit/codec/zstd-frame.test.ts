import { Decoder, Encoder } from '@toondepauw/node-zstd';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { boundedFrame } from '../../../src/codec/zstd-frame.ts';
import { Failure } from '../../../src/failure.ts';
import { peakMemoryBytes } from '../../support/programs/peak-memory.ts';
import { zstdBomb, zstdFrameOf } from '../../support/zstd-frames.ts';

const decoder = new Decoder();

function unpack(frame: Uint8Array): Buffer {
  return decoder.decodeSync(Buffer.from(frame));
}

function expectRefused(frame: Uint8Array, plainBytes: number): void {
  let thrown: unknown = null;
  try {
    boundedFrame(frame, plainBytes);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Failure);
  expect(thrown).toHaveProperty('code', 'pack-damaged');
}

const plains = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 2000 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.integer({ min: 1, max: 9000 }))
    .map(([piece, times]) => Buffer.alloc(piece.length * times, piece)),
);

describe('a bounded frame', () => {
  test('unpacks to the same bytes', () => {
    fc.assert(
      fc.property(plains, fc.constantFrom(1, 3, 12, 19), (plain, level) => {
        const frame = new Encoder(level).encodeSync(Buffer.from(plain));
        expect(unpack(boundedFrame(frame, plain.length)).equals(plain)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test.each([1, 255, 256, 65_791, 65_792, 2 ** 20])('has its size in the header (%d bytes)', (size) => {
    const content = Buffer.alloc(size, 'x');
    const blocks = [{ type: 'rle', byte: 120, sizeBytes: size % 2 ** 17 } as const];
    for (let rest = size - (size % 2 ** 17); rest > 0; rest -= 2 ** 17)
      blocks.push({ type: 'rle', byte: 120, sizeBytes: 2 ** 17 });
    const said = zstdFrameOf({ blocks, contentBytes: size });
    expect(unpack(boundedFrame(said, size)).equals(content)).toBe(true);
    expect(unpack(boundedFrame(boundedFrame(zstdFrameOf({ blocks }), size), size)).equals(content)).toBe(
      true,
    );
    expectRefused(said, size + 1);
  });

  test('keeps the checksum', () => {
    // printf abc | zstd
    const frame = Buffer.from('28b52ffd0458190000616263990977ad', 'hex');
    expect(unpack(boundedFrame(frame, 3)).toString()).toBe('abc');
    frame.write('x', 9);
    expect(() => unpack(boundedFrame(frame, 3))).toThrow(/checksum/i);
  });

  test('never unpacks to more than it should', () => {
    const bomb = zstdBomb(2 ** 33);
    expect(bomb.length).toBeLessThan(2 ** 19);
    const before = peakMemoryBytes();
    expect(() => unpack(boundedFrame(bomb, 2 ** 20))).toThrow();
    expect(peakMemoryBytes() - before).toBeLessThan(2 ** 28);
    expectRefused(zstdBomb(2 ** 33, 2 ** 33), 2 ** 20);
  });

  test('never unpacks to less than it should', () => {
    expect(() => unpack(boundedFrame(zstdBomb(2 ** 17), 2 ** 20))).toThrow();
  });
});

describe('a reader refuses', () => {
  const frame = new Encoder(3).encodeSync(Buffer.alloc(300_000, 'some text '));

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['only a magic number', frame.subarray(0, 4)],
    ['a frame with one before it', Buffer.concat([frame, frame])],
    [
      'a frame with a skippable one before it',
      Buffer.concat([Buffer.from('502a4d1801000000ff', 'hex'), frame]),
    ],
    [
      'a frame with a skippable one behind it',
      Buffer.concat([frame, Buffer.from('502a4d1801000000ff', 'hex')]),
    ],
    ['a frame with a byte behind it', Buffer.concat([frame, Buffer.of(0)])],
    ['a frame with a dictionary', frame.with(4, (frame[4] ?? 0) | 1)],
    ['a frame with the reserved bit', frame.with(4, (frame[4] ?? 0) | 8)],
    ['a frame with a reserved block', zstdFrameOf({ blocks: [{ type: 'reserved' }] })],
    ['gzip', Buffer.from('1f8b0800000000000003', 'hex')],
  ])('%s', (_, bytes) => {
    expectRefused(bytes, 300_000);
  });

  test('a frame cut off anywhere', () => {
    for (let length = 0; length < frame.length; length++) expectRefused(frame.subarray(0, length), 300_000);
  });

  test('noise, always by a Failure', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.boolean(),
        fc.nat(),
        (noise, hasMagic, plainBytes) => {
          const bytes = hasMagic ? Buffer.concat([frame.subarray(0, 4), noise]) : noise;
          try {
            boundedFrame(bytes, plainBytes);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

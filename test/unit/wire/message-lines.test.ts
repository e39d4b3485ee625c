import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../../src/failure.ts';
import { linesOf } from '../../../src/wire/message-lines.ts';
import { LINE_LIMIT_BYTES } from '../../../src/wire/messages.ts';

async function* streamOf(pieces: Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  yield* pieces;
}

async function collect(pieces: Iterable<Uint8Array>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(streamOf(pieces))) lines.push(line);
  return lines;
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

const line = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.constantFrom('', '\r', '{"type":"alive"}', '🚢'.repeat(9)),
  )
  .map((text) => text.replaceAll('\n', ' ').replace(/^\uFEFF/, ''));

describe('lines', () => {
  test('do not depend on where their bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (lines, places) => {
          const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
          expect(await collect(cut(bytes, places))).toEqual(lines);
        },
      ),
    );
  });

  test('may have characters of several bytes, and arrive byte by byte', async () => {
    const bytes = Buffer.from('Grüße, 世界 🚢\nüber\n');
    expect(await collect(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual([
      'Grüße, 世界 🚢',
      'über',
    ]);
  });

  test('are given as soon as they are complete', async () => {
    async function* source() {
      yield Buffer.from('first\nsec');
      throw new Error('nobody should have asked for more');
    }
    const lines = linesOf(source());
    expect(await lines.next()).toEqual({ value: 'first', done: false });
    await lines.return();
  });

  test('of the longest allowed length are accepted', async () => {
    const long = 'x'.repeat(LINE_LIMIT_BYTES - 1);
    expect((await collect(cut(Buffer.from(`${long}\n`), [7, 70_000])))[0]?.length).toBe(long.length);
  });

  test('that are too long are refused before they fill the memory', async () => {
    let sentBytes = 0;
    async function* endless() {
      for (;;) {
        sentBytes += 65536;
        yield Buffer.alloc(65536, 'x');
      }
    }
    const reading = (async () => {
      for await (const none of linesOf(endless())) expect(none).toBeNull();
    })();
    const failure = await reading.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toHaveProperty('code', 'protocol-violation');
    expect(sentBytes).toBeLessThan(LINE_LIMIT_BYTES + 2 * 65536);
  });

  test('pass on a failure of their source', async () => {
    const failure = new Failure('connection-lost', 'gone');
    async function* broken() {
      yield Buffer.from('a\nb');
      throw failure;
    }
    const reading = (async () => {
      for await (const text of linesOf(broken())) expect(text).toBe('a');
    })();
    await expect(reading).rejects.toBe(failure);
  });
});

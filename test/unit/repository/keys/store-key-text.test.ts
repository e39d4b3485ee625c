import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../../../src/failure.ts';
import { parseStoreKeyText, storeKeyText } from '../../../../src/repository/keys/store-key-text.ts';
import { failureOf } from '../../../support/failures.ts';

const storeId = '1f3a9c2e00112233445566778899aabb';
const key = Uint8Array.from({ length: 32 }, (_, index) => index);
const text = storeKeyText({ storeId, key });

describe('the text of a store’s key', () => {
  test('has lines that can be typed', () => {
    expect(text).toBe(`vmferry store key 1
store 1f3a 9c2e 0011 2233 4455 6677 8899 aabb 0196
1 0001 0203 0405 0607 b1bc
2 0809 0a0b 0c0d 0e0f 3f3a
3 1011 1213 1415 1617 c3d3
4 1819 1a1b 1c1d 1e1f 2d94
`);
  });

  test('gives the key back with any spaces and any case', () => {
    const hex = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(hex, fc.uint8Array({ minLength: 32, maxLength: 32 }), (id, bytes) => {
        const written = storeKeyText({ storeId: id, key: bytes });
        const typed = `\r\n${written.toUpperCase().replaceAll('\n', ' \r\n\r\n')}`;
        expect(parseStoreKeyText(written)).toEqual({ storeId: id, key: bytes });
        expect(parseStoreKeyText(typed)).toEqual({ storeId: id, key: bytes });
      }),
    );
  });

  test('reports the line of every wrong digit', async () => {
    const lines = text.split('\n');
    const labels = ['', 'store', '1', '2', '3', '4'];
    for (let line = 1; line < labels.length; line++)
      for (const { index, 0: digit } of (lines[line] ?? '').matchAll(/(?<= [0-9a-f ]*)[0-9a-f]/g)) {
        const other = digit === '7' ? '1' : '7';
        const wrong = lines.with(
          line,
          (lines[line] ?? '').slice(0, index) + other + (lines[line] ?? '').slice(index + 1),
        );
        const failure = await failureOf(() => parseStoreKeyText(wrong.join('\n')));
        expect([failure.code, failure.message]).toEqual([
          'key-wrong',
          expect.stringContaining(`‘${labels[line]}’`),
        ]);
      }
  });

  test('is refused if lines are missing, doubled or out of order', async () => {
    const [header = '', store = '', one = '', two = '', three = '', four = ''] = text.split('\n');
    for (const lines of [
      [],
      [store, one, two, three, four],
      [header, one, two, three, four],
      [header, store, one, two, three],
      [header, store, one, one, three, four],
      [header, store, two, one, three, four],
      [header, store, one, two, three, four, four],
    ])
      expect((await failureOf(() => parseStoreKeyText(lines.join('\n')))).code).toBe('key-wrong');
  });

  test('is refused with a Failure, whatever the file contains', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (anything) => {
        expect(() => parseStoreKeyText(anything)).toThrow(Failure);
      }),
    );
  });
});

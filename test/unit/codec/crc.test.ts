import { describe, expect, test } from '@jest/globals';
import { crc16, crc32, crc32c } from '../../../src/codec/crc.ts';

describe('cyclic redundancy checks', () => {
  const bytes = new TextEncoder().encode('123456789');

  test('give the published check values', () => {
    expect(crc32(bytes)).toBe(0xcbf43926);
    expect(~crc32c(0xffffffff, bytes) >>> 0).toBe(0xe3069283);
    expect(crc16(0xffff, bytes)).toBe(0x4b37);
  });

  test('can be computed in pieces', () => {
    const [head, tail] = [bytes.subarray(0, 4), bytes.subarray(4)];
    expect(crc32c(crc32c(7, head), tail)).toBe(crc32c(7, bytes));
    expect(crc16(crc16(7, head), tail)).toBe(crc16(7, bytes));
  });
});

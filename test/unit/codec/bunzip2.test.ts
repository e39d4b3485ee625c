import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { bunzip2 } from '../../../src/codec/bunzip2.ts';
import { Failure } from '../../../src/failure.ts';
import { seededBytes } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { seededRandom } from '../../support/seeded-random.ts';

/** Unpacks all of it, given in pieces of this size. */
function unpack(compressed: Uint8Array, pieceBytes = 50_000): Buffer {
  const unpacking = bunzip2();
  const plain: Uint8Array[] = [];
  let given = 0;
  for (let step = unpacking.next(); step.done !== true;) {
    if (step.value !== null) {
      plain.push(step.value);
      step = unpacking.next(new Uint8Array());
      continue;
    }
    const piece = compressed.subarray(given, given + pieceBytes);
    given += piece.length;
    step = unpacking.next(piece.length === 0 ? null : piece);
  }
  return Buffer.concat(plain);
}

function compress(plain: Uint8Array, ...options: string[]): Buffer {
  return execFileSync('bzip2', ['-c', ...options], { input: plain, maxBuffer: 2 ** 28 });
}

const content = Buffer.concat([
  Buffer.alloc(300_000, 'a line of a guest, '),
  seededBytes(1, 150_000),
  Buffer.alloc(2_000_000),
]);

describeWithTools('without a program, bzip2', ['bzip2'], () => {
  const whole = compress(content, '-1');

  test.each([1, 7, 4096, 10_000_000])('is unpacked from pieces of %d bytes', (pieceBytes) => {
    const some = pieceBytes < 100 ? compress(content.subarray(0, 3000)) : whole;
    const expected = pieceBytes < 100 ? content.subarray(0, 3000) : content;
    expect(unpack(some, pieceBytes).equals(expected)).toBe(true);
  });

  test('several streams are one, also an empty one', () => {
    const streams = Buffer.concat([
      compress(content),
      compress(Buffer.alloc(0)),
      compress(Buffer.from('end'), '-9'),
    ]);
    expect(unpack(streams).equals(Buffer.concat([content, Buffer.from('end')]))).toBe(true);
  });

  test('what comes behind the last stream, and is none, is ignored as bzip2 ignores it', () => {
    const small = compress(Buffer.from('hello'));
    for (const garbage of [Buffer.alloc(1), Buffer.alloc(3), Buffer.alloc(1000), Buffer.from('rubbish')]) {
      const input = Buffer.concat([small, garbage]);
      expect(unpack(input).toString()).toBe('hello');
      expect(execFileSync('bzip2', ['-dc'], { input, stdio: ['pipe', 'pipe', 'ignore'] }).toString()).toBe(
        'hello',
      );
    }
  });

  test('every truncation is noticed', () => {
    const small = compress(content.subarray(0, 5000));
    for (let length = 0; length < small.length; length += 97)
      expect(() => unpack(small.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'archive-damaged' }),
      );
    expect(() => unpack(whole.subarray(0, whole.length - 1))).toThrow('ends too early');
    expect(() => unpack(Buffer.alloc(0))).toThrow('is empty');
  });

  test('a block in the form before 0.9.5 is refused with the advice to install bzip2', () => {
    const randomised = Buffer.from(compress(Buffer.from('hello')));
    // The bit behind the magic and the checksum of the first block.
    randomised[14] = (randomised[14] ?? 0) | 0x80;
    expect(() => unpack(randomised)).toThrow(
      expect.objectContaining({ code: 'program-missing', advice: 'Install bzip2, which still reads it.' }),
    );
  });

  test('changed bytes are noticed, and nothing crashes', () => {
    // Always the same changes: the decoder can run for ever on a few others, and its thread is ended then.
    const random = seededRandom(1);
    const small = compress(Buffer.from(Buffer.from(seededBytes(2, 2500)).toString('hex')));
    for (let round = 0; round < 200; round++) {
      const changed = Buffer.from(small);
      const at = Math.floor(random() * changed.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      try {
        // The bits that fill the last byte mean nothing, and a larger stated block size does not matter.
        const plain = unpack(changed);
        if (at !== changed.length - 1 && at !== 3)
          throw new Error(`unnoticed at ${at}: ${plain.length} bytes`);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
      }
    }
  });
});

describe('what is no bzip2', () => {
  test('is refused', () => {
    expect(() => unpack(Buffer.from('BZh0 this is none'))).toThrow('does not begin as bzip2 does');
  });
});

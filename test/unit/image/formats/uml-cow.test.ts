import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../../../src/failure.ts';
import type { ContainerFacts } from '../../../../src/image/formats/containers/container-facts.ts';
import { readContainer } from '../../../../src/image/formats/containers/read-container.ts';
import { cowDataOffset, cowHeader } from '../../../support/images/cow-images.ts';

const DISK_BYTES = 64 * 2 ** 20;
const WHOLE_BYTES = cowDataOffset(DISK_BYTES) + DISK_BYTES;

/** The header at the beginning of a sparse file. A read outside of the file is a defect of the reader. */
function read(header: Uint8Array, fileBytes = WHOLE_BYTES): ContainerFacts {
  const file = {
    path: '/srv/web.cow',
    sizeBytes: fileBytes,
    read(offset: number, length: number): Uint8Array {
      if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || length > 2 ** 20)
        throw new Error(`read of ${length} bytes at ${offset}`);
      const bytes = Buffer.alloc(Math.max(0, Math.min(length, fileBytes - offset)));
      bytes.set(header.subarray(offset, offset + bytes.length));
      return bytes;
    },
  };
  return readContainer(file, 'cow');
}

function failureOf(header: Uint8Array, fileBytes = WHOLE_BYTES): Failure {
  try {
    read(header, fileBytes);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** The header with another number of 32 bits at an offset. */
function withNumber(at: number, value: number): Buffer {
  const header = cowHeader();
  header.writeUInt32BE(value, at);
  return header;
}

describe('the header of a copy-on-write file', () => {
  test('tells the size, the backing file as it was, and where the parts lie', () => {
    expect(read(cowHeader({ modifiedSeconds: 7 }))).toEqual({
      sizeBytes: DISK_BYTES,
      backing: {
        name: '/srv/base.img',
        format: 'raw',
        madeOver: { sizeBytes: DISK_BYTES, modifiedSeconds: 7 },
      },
      snapshots: [],
      snapshotCount: 0,
      cow: { bitmapOffset: 8192, dataOffset: cowDataOffset(DISK_BYTES) },
    });
  });

  test.each<[string, Buffer, number]>([
    ['with a size of no whole sectors', cowHeader({ sizeBytes: DISK_BYTES - 1 }), WHOLE_BYTES],
    ['with a size of zero', cowHeader({ sizeBytes: 0 }), WHOLE_BYTES],
    ['with a larger size than its file', cowHeader({ sizeBytes: DISK_BYTES + 512 }), WHOLE_BYTES],
    ['with a bitmap beyond its file', cowHeader({ sizeBytes: 2 ** 52 }), WHOLE_BYTES],
    ['with a bitmap that no kernel finds', cowHeader({ sizeBytes: 2 ** 44 }), 2 ** 45],
    ['without alignment', withNumber(24, 0), WHOLE_BYTES],
    ['aligned to no sector', withNumber(24, 4095), WHOLE_BYTES],
    ['with an absurd alignment', withNumber(24, 2 ** 31), WHOLE_BYTES],
    ['with a path that fills its field', cowHeader({ backing: 'a'.repeat(4096) }), WHOLE_BYTES],
    ['without a path', cowHeader({ backing: '' }), WHOLE_BYTES],
    ['with a path of control characters', cowHeader({ backing: '/srv/\u001b[2J' }), WHOLE_BYTES],
    ['that is cut off', cowHeader(), 4000],
    ['that is cut off in its sectors', cowHeader(), WHOLE_BYTES - 1],
  ])('%s is damaged', (_, header, fileBytes) => {
    expect(failureOf(header, fileBytes).code).toBe('image-not-a-disk');
  });

  const littleEndian = cowHeader();
  littleEndian.write('MOOO', 0);
  littleEndian.writeUInt32LE(1, 4);
  test.each<[string, Buffer]>([
    ['of version 1', littleEndian],
    ['of version 2', withNumber(4, 2)],
    ['of a later version', withNumber(4, 4)],
    ['with an absurd size of sectors', withNumber(20, 2 ** 30)],
    ['with sectors of 4096 bytes', withNumber(20, 4096)],
    ['of another kind', withNumber(28, 1)],
  ])('%s is refused with what to do', (_, header) => {
    expect(failureOf(header)).toMatchObject({
      code: 'image-unsupported',
      advice: expect.stringContaining('uml_moo /srv/web.cow NEW'),
    });
  });

  test('is no header of it without its first letters', () => {
    expect(failureOf(Buffer.alloc(8192)).message).toBe('/srv/web.cow has no header of the format cow.');
  });

  test('changed or cut gives facts or a Failure, and reads nothing outside', () => {
    const change = fc.tuple(fc.integer({ min: 0, max: 48 }), fc.integer({ min: 0, max: 255 }));
    const fileBytes = fc.option(fc.integer({ min: 0, max: 2 ** 27 }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), fileBytes, (changes, length) => {
        const header = cowHeader();
        for (const [at, byte] of changes) header[at] = byte;
        try {
          const { sizeBytes, cow } = read(header, length);
          const end = (cow?.dataOffset ?? Infinity) + sizeBytes;
          expect(end).toBeLessThanOrEqual(length ?? WHOLE_BYTES);
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          expect(['image-not-a-disk', 'image-unsupported']).toContain(error.code);
        }
      }),
      { numRuns: 500 },
    );
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../../../src/failure.ts';
import type { HeaderFile } from '../../../../src/image/formats/containers/header-file.ts';
import { readContainer } from '../../../../src/image/formats/containers/read-container.ts';
import type { ContainerFormat } from '../../../../src/image/formats/image-format.ts';
import { headers } from '../../../support/images/container-headers.ts';

/** A file in memory. A read outside of it, or of more than 1 MiB, is a defect of the reader. */
function fileOf(bytes: Uint8Array): HeaderFile {
  return {
    path: '/srv/disk',
    sizeBytes: bytes.length,
    read(offset, length) {
      if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || length > 2 ** 20)
        throw new Error(`read of ${length} bytes at ${offset}`);
      return bytes.subarray(offset, offset + length);
    },
  };
}

function read(format: ContainerFormat, bytes: Uint8Array): ReturnType<typeof readContainer> {
  return readContainer(fileOf(bytes), format);
}

function failureOf(format: ContainerFormat, bytes: Uint8Array): Failure {
  try {
    read(format, bytes);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** A copy with other bytes at an offset. */
function patched(bytes: Uint8Array, at: number, change: readonly number[] | string): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(typeof change === 'string' ? Buffer.from(change, 'latin1') : change, at);
  return copy;
}

const formats = Object.keys(headers) as (keyof typeof headers)[];

describe('the header of an image', () => {
  test.each(formats)('%s: its size is read', (format) => {
    expect(read(format, headers[format]())).toMatchObject({
      sizeBytes: 64 * 2 ** 20,
      backing: null,
      snapshotCount: 0,
    });
  });

  test.each(formats)(
    '%s: a changed or cut header gives facts or a Failure, and reads nothing outside',
    (format) => {
      const whole = headers[format]();
      const near = Array.from({ length: whole.length }, (_, at) => at).filter(
        (at) => at < 1024 || at > whole.length - 512 || whole[at] !== 0,
      );
      const change = fc.tuple(fc.constantFrom(...near), fc.integer({ min: 0, max: 255 }));
      fc.assert(
        fc.property(
          fc.array(change, { maxLength: 12 }),
          fc.option(fc.integer({ min: 0, max: whole.length })),
          (changes, length) => {
            const bytes = Uint8Array.from(whole);
            for (const [at, byte] of changes) bytes[at] = byte;
            try {
              const facts = read(format, bytes.subarray(0, length ?? bytes.length));
              expect(Number.isSafeInteger(facts.sizeBytes)).toBe(true);
            } catch (error) {
              if (!(error instanceof Failure)) throw error;
              expect(['image-not-a-disk', 'image-unsupported']).toContain(error.code);
            }
          },
        ),
        { numRuns: 400 },
      );
    },
  );

  test.each(formats)('%s: another file is refused', (format) => {
    expect(failureOf(format, new Uint8Array(2 ** 20)).message).toBe(
      `/srv/disk has no header of the format ${format}.`,
    );
    expect(failureOf(format, new Uint8Array(0)).code).toBe('image-not-a-disk');
  });
});

describe('qcow2', () => {
  const qcow2 = headers.qcow2;

  test.each([
    ['encrypted', patched(qcow2(), 35, [1]), /is encrypted/],
    ['with LUKS', patched(qcow2(), 35, [2]), /is encrypted/],
    ['corrupt', patched(qcow2(), 79, [2]), /marked as corrupt/],
    ['with its data in another file', patched(qcow2(), 79, [4]), /data in another file/],
    ['with an unknown feature', patched(qcow2(), 72, [128]), /feature of qcow2 that is not known/],
    ['of version 1', patched(qcow2(), 7, [1]), /first qcow format/],
    ['of version 4', patched(qcow2(), 7, [4]), /version 4/],
  ])('an image that is %s is refused', (_, bytes, message) => {
    const failure = failureOf('qcow2', bytes);
    expect(failure.code).toBe('image-unsupported');
    expect(failure.message).toMatch(message);
    expect(failure.advice).not.toBeUndefined();
  });

  test('reference counts that were not written are no reason to refuse it', () => {
    expect(read('qcow2', patched(qcow2(), 79, [1])).sizeBytes).toBe(64 * 2 ** 20);
  });

  test('its backing file and the format of that are read as they are written', () => {
    expect(read('qcow2', qcow2({ backing: '../secret', format: 'raw' })).backing).toEqual({
      name: '../secret',
      format: 'raw',
    });
    expect(read('qcow2', qcow2({ backing: 'json:{"driver":"nbd"}' })).backing).toEqual({
      name: 'json:{"driver":"nbd"}',
      format: null,
    });
  });

  test('a name with control characters, or outside of the first cluster, is damage', () => {
    expect(failureOf('qcow2', qcow2({ backing: 'a\0b' })).code).toBe('image-not-a-disk');
    expect(failureOf('qcow2', patched(qcow2({ backing: 'a' }), 8, [0, 0, 0, 0, 0, 2, 0, 0])).code).toBe(
      'image-not-a-disk',
    );
  });
});

test('a VMDK with more bytes than a number can count is damaged', () => {
  expect(failureOf('vmdk', patched(headers.vmdk(), 17, [16])).code).toBe('image-not-a-disk');
});

test('a stream of VMware, whose extent is only for reading, is read', () => {
  const stream = headers.vmdk('RDONLY 131072 SPARSE "generated-stream.vmdk"');
  expect(read('vmdk', stream).sizeBytes).toBe(64 * 2 ** 20);
});

describe('other formats refuse what lies in other files', () => {
  test.each<[string, ContainerFormat, Uint8Array]>([
    [
      'a VMDK whose extents are in its descriptor',
      'vmdk',
      patched(headers.vmdk(), 12, [0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ['a VMDK with two extents', 'vmdk', headers.vmdk('RW 1 SPARSE "a"\nRW 1 FLAT "/etc/shadow" 0')],
    ['a VMDK with a flat extent', 'vmdk', headers.vmdk('RW 1 FLAT "/etc/shadow" 0')],
    ['a VMDK with a parent', 'vmdk', headers.vmdk('RW 1 SPARSE "a"\nparentFileNameHint="/etc/shadow"')],
    ['a VMDK with the id of a parent', 'vmdk', headers.vmdk('RW 1 SPARSE "a"', '12345678')],
    ['a descriptor of VMware', 'vmdk', Buffer.from('# Disk DescriptorFile\nRW 1 FLAT "/etc/shadow" 0\n')],
    ['a VDI with a parent', 'vdi', patched(headers.vdi(), 0x1a8, [1])],
    ['a differencing VHD', 'vpc', patched(headers.vpc(), 63, [4])],
    ['a differencing VHDX', 'vhdx', patched(headers.vhdx(), 2 ** 20 + 65_536 + 4, [2])],
  ])('%s', (_, format, bytes) => {
    const failure = failureOf(format, bytes);
    expect(failure.code).toBe('image-unsupported');
    expect(failure.advice).not.toBeUndefined();
  });
});

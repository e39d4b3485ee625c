import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { continueCrc32 } from '../../../../src/codec/crc.ts';
import { totalLength } from '../../../../src/extent/extents.ts';
import { Doubt } from '../../../../src/image/file-systems/doubt.ts';
import { readPhysicalVolume } from '../../../../src/image/volumes/physical-volume.ts';

const MIB = 2 ** 20;
const DISK_BYTES = 16 * MIB;
const AREA = { offset: 4096, length: MIB - 4096 };
const UUID = 'abcdef-0123-4567-89ab-cdef-0123-456789';

function metadata(volumes: string, more = ''): string {
  return `vg0 {
id = "x" seqno = 7 format = "lvm2" status = ["RESIZEABLE", "READ", "WRITE"] flags = [] extent_size = 128
${more}physical_volumes { pv0 { id = "${UUID}" status = ["ALLOCATABLE"] flags = [] dev_size = 32768 pe_start = 2048 pe_count = 240 } }
logical_volumes { ${volumes} }
}
contents = "Text Format Volume Group"
version = 1
`;
}

function volume(name: string, ...segments: readonly (readonly [start: number, count: number])[]): string {
  let next = 0;
  const written = segments.map(([start, count], index) => {
    const text = `segment${index + 1} { start_extent = ${next} extent_count = ${count} type = "striped" stripe_count = 1 stripes = ["pv0", ${start}] }`;
    next += count;
    return text;
  });
  return `${name} { id = "y" status = ["READ", "WRITE", "VISIBLE"] flags = [] segment_count = ${segments.length} ${written.join(' ')} }`;
}

/** A disk with this text, and right checksums. */
function diskWith(text: string, start = 512) {
  const head = Buffer.alloc(MIB);
  const content = Buffer.from(text, 'latin1');
  const first = Math.min(content.length, AREA.length - start);
  content.copy(head, AREA.offset + start, 0, first);
  content.copy(head, AREA.offset + 512, first);
  const area = head.subarray(AREA.offset, AREA.offset + 512);
  area.write(' LVM2 x[5A%r0N*>', 4, 'latin1');
  area.writeUInt32LE(1, 20);
  area.writeBigUInt64LE(BigInt(AREA.offset), 24);
  area.writeBigUInt64LE(BigInt(AREA.length), 32);
  area.writeBigUInt64LE(BigInt(start), 40);
  area.writeBigUInt64LE(BigInt(content.length), 48);
  area.writeUInt32LE(continueCrc32(0xf597a6cf, content), 56);
  area.writeUInt32LE(continueCrc32(0xf597a6cf, area.subarray(4)), 0);
  const label = head.subarray(512, 1024);
  label.write('LABELONE', 0, 'latin1');
  label.writeBigUInt64LE(1n, 8);
  label.writeUInt32LE(32, 20);
  label.write('LVM2 001', 24, 'latin1');
  label.write(UUID.replaceAll('-', ''), 32, 'latin1');
  label.writeBigUInt64LE(BigInt(DISK_BYTES), 64);
  label.writeBigUInt64LE(BigInt(MIB), 72);
  label.writeBigUInt64LE(BigInt(AREA.offset), 104);
  label.writeBigUInt64LE(BigInt(AREA.length), 112);
  label.writeUInt32LE(continueCrc32(0xf597a6cf, label.subarray(20)), 16);
  return (offset: number, length: number): Uint8Array => {
    if (offset < 0 || offset + length > DISK_BYTES) throw new Error(`a read of ${length} bytes at ${offset}`);
    const bytes = Buffer.alloc(length);
    head.copy(bytes, 0, offset, offset + length);
    return bytes;
  };
}

function read(text: string, start?: number) {
  return readPhysicalVolume(diskWith(text, start), DISK_BYTES);
}

const sound = metadata(`${volume('root', [10, 20], [100, 5])} ${volume('7', [50, 1])}`);
const extent = (first: number, count: number) => ({ offset: MIB + first * 65_536, length: count * 65_536 });

describe('the metadata of a physical volume', () => {
  test.each([512, 4096, AREA.length - 100])(
    'tell where volumes are, also in a ring that begins again (%i)',
    (start) => {
      expect(read(sound, start)).toEqual({
        group: 'vg0',
        uuid: UUID,
        volumes: [
          { name: 'root', pieces: [extent(10, 20), extent(100, 5)] },
          { name: '7', pieces: [extent(50, 1)] },
        ],
        unallocated: [extent(0, 10), extent(30, 20), extent(51, 49), extent(105, 135)],
      });
    },
  );

  test.each([
    ['two volumes in one place', sound.replace('"pv0", 50', '"pv0", 29'), 'have the same place'],
    ['a segment behind the end', sound.replace('"pv0", 50', '"pv0", 240'), 'not as LVM writes them'],
    ['a segment elsewhere', sound.replace('"pv0", 50', '"pv1", 50'), 'not as LVM writes them'],
    ['two stripes', sound.replace('stripe_count = 1', 'stripe_count = 2'), 'not linear'],
    ['a gap in a volume', sound.replace('start_extent = 20', 'start_extent = 21'), 'not as LVM writes them'],
    ['a move that is going on', sound.replace('"VISIBLE"', '"VISIBLE", "PVMOVE"'), 'a mark'],
    ['an unknown flag', sound.replace('flags = []', 'flags = ["NEW"]'), 'a mark'],
    ['a missing volume', sound.replace('"ALLOCATABLE"', '"MISSING"'), 'a mark'],
    ['another physical volume', sound.replace('pv0 {', 'pv1 { } pv0 {'), 'other physical volumes'],
    ['the UUID of another', sound.replace(UUID, `x${UUID.slice(1)}`), 'label and its metadata disagree'],
    ['another place of data', sound.replace('pe_start = 2048', 'pe_start = 2047'), 'metadata disagree'],
    ['room over the metadata', sound.replace('pe_start = 2048', 'pe_start = 128'), 'metadata disagree'],
    ['more room than there is', sound.replace('pe_count = 240', 'pe_count = 241'), 'larger than'],
    ['a shared group', metadata('', 'lock_type = "sanlock"\n'), 'shared by several'],
    ['something unknown', metadata('', 'historical_logical_volumes { }\n'), 'does not know'],
    ['another format', sound.replace('"lvm2"', '"lvm3"'), 'not as LVM writes them'],
  ])('with %s are doubtful', (_, text, reason) => {
    expect(text).not.toBe(sound);
    expect(() => read(text)).toThrow(reason);
    expect(() => read(text)).toThrow(Doubt);
  });

  test('after any change that has a right checksum, are doubtful or disjoint', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '=',
      ',',
      '-1',
      '0',
      '1',
      '240',
      '9007199254740991',
      'root',
      '',
    );
    const changes = fc.array(fc.tuple(fc.nat(sound.length), fc.nat(12), pieces), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(changes, (edits) => {
        let text = sound;
        for (const [at, length, piece] of edits) text = text.slice(0, at) + piece + text.slice(at + length);
        try {
          const { volumes, unallocated } = read(text);
          const all = [...volumes.flatMap((one) => one.pieces), ...unallocated];
          const sorted = all.toSorted((one, other) => one.offset - other.offset);
          let end = MIB;
          for (const { offset, length } of sorted) {
            expect(offset).toBe(end);
            end += length;
          }
          expect(end).toBeLessThanOrEqual(DISK_BYTES);
          expect(totalLength(all)).toBe(end - MIB);
        } catch (error) {
          expect(error).toBeInstanceOf(Doubt);
        }
      }),
    );
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { probeImage } from '../../../src/image/probe.ts';

const SIZE = 2 ** 20;

function imageWith(pieces: readonly (readonly [offset: number, bytes: string | readonly number[]])[]) {
  const bytes = new Uint8Array(SIZE);
  for (const [offset, piece] of pieces)
    bytes.set(
      typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece,
      offset < 0 ? SIZE + offset : offset,
    );
  return imageOf(bytes);
}

function imageOf(bytes: Uint8Array) {
  return {
    sizeBytes: bytes.length,
    read: (offset: number, length: number) => {
      if (offset < 0 || offset + length > bytes.length)
        throw new Error(`a read of ${length} bytes at ${offset}`);
      return bytes.slice(offset, offset + length);
    },
  };
}

const extMagic = [1080, [0x53, 0xef]] as const;
const mdMagic = [0xfc, 0x4e, 0x2b, 0xa9];

/** The place of each format's signature, by the format's documentation. */
const signatures = [
  ['btrfs', 65600, '_BHRfS_M'],
  ['lvm2', 512, 'LABELONE'],
  ['luks', 0, 'LUKS\xba\xbe\x00\x02'],
  ['luks', 0x4000, 'SKUL\xba\xbe\x00\x02'],
  ['iso9660', 32769, 'CD001'],
  ['f2fs', 1024, [0x10, 0x20, 0xf5, 0xf2]],
  ['reiserfs', 65588, 'ReIsEr2Fs'],
  ['jfs', 32768, 'JFS1'],
  ['ufs', 9564, [0x54, 0x19, 0x01, 0x00]],
  ['ufs', 66908, [0x19, 0x01, 0x54, 0x19]],
  ['zfs', 131072 + 7 * 1024, [0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0]],
  ['md-raid', 4096, [...mdMagic, 1, 0, 0, 0]],
  ['md-raid', -8192, [...mdMagic, 1, 0, 0, 0]],
  ['md-raid', -65536, [...mdMagic, 0, 0, 0, 0]],
  ['qcow2', 0, 'QFI\xfb'],
  ['uml-cow', 0, 'OOOM'],
] as const;

const knownSignatures = [
  ['xfs', 0, 'XFSB'],
  ['swap', 4086, 'SWAPSPACE2'],
  ['swap', 65526, 'SWAPSPACE2'],
  ['swap', 4086, 'SWAP-SPACE'],
  ['ntfs', 3, 'NTFS    '],
  ['vfat', 54, 'FAT12   '],
  ['vfat', 82, 'FAT32   '],
] as const;

describe('probing an image', () => {
  test.each(knownSignatures)('the mere signature of %s at %i is not trusted', (kind, offset, magic) => {
    const { regions } = probeImage(imageWith([[offset, magic]]));
    expect(regions).toMatchObject([{ kind, clean: true, usedBytes: null, skippable: false }]);
  });

  test.each(signatures)('recognises %s by its bytes at %i', (kind, offset, magic) => {
    const layout = probeImage(imageWith([[offset, magic]]));
    expect(layout).toMatchObject({
      sizeBytes: SIZE,
      regions: [{ offset: 0, length: SIZE, kind, clean: null, usedBytes: null, skippable: false }],
    });
  });

  test.each([...signatures, ...knownSignatures])(
    'an ext superblock beside %s (at %i) is not trusted',
    (kind, offset, magic) => {
      const { regions } = probeImage(imageWith([[offset, magic], extMagic]));
      expect(regions).toMatchObject([{ kind: 'ambiguous', clean: null, skippable: false }]);
      expect(regions[0]?.reason).toContain(kind);
    },
  );

  test('an ext superblock under a partition table is not trusted', () => {
    const entry = [0, 0, 0, 0, 0x83, 0, 0, 0, 64, 0, 0, 0, 64, 0, 0, 0];
    const { regions } = probeImage(imageWith([[446, entry], [510, [0x55, 0xaa]], extMagic]));
    expect(regions).toMatchObject([{ offset: 0, length: SIZE, kind: 'ambiguous', skippable: false }]);
    expect(regions[0]?.reason).toContain('a partition table');
  });

  test('an ext superblock before the second copy of a GPT is not trusted', () => {
    const { regions } = probeImage(imageWith([[-512, 'EFI PART'], extMagic]));
    expect(regions).toMatchObject([{ kind: 'ambiguous', skippable: false }]);
  });

  test('unrecognised content is called unknown', () => {
    expect(probeImage(imageWith([])).regions).toMatchObject([{ kind: 'unknown', skippable: false }]);
  });

  test('an image of one sector is probed', () => {
    expect(probeImage(imageOf(new Uint8Array(512))).regions).toMatchObject([
      { kind: 'unknown', length: 512 },
    ]);
  });

  test('a label cannot steer a terminal', () => {
    const { regions } = probeImage(
      imageWith([
        [0, 'XFSB'],
        [108, 'a\x1b[31mb\x9bc'],
      ]),
    );
    expect(regions[0]?.label).toBe('a?[31mb\ufffdc');
  });

  test('random bytes neither crash the probe nor make it skip anything', () => {
    const sizes = fc.integer({ min: 1, max: 300 }).map((sectors) => sectors * 512);
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { maxLength: 64 }),
        (size, changes) => {
          const bytes = new Uint8Array(size);
          for (const [offset, value] of changes) if (offset < size) bytes[offset] = value;
          if (size > 1082) bytes.set([0x53, 0xef], 1080);
          expect(probeImage(imageOf(bytes)).regions.every(({ skippable }) => !skippable)).toBe(true);
        },
      ),
    );
  });
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmodSync, chownSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { WarningCode } from '../../src/events.ts';
import { openImage } from '../../src/image/open-image.ts';
import { resultOf, warningsOf } from '../support/programs/command-records.ts';
import {
  filesInExt,
  copyImage,
  freeExtentsByDumpe2fs,
  imageTools,
  makeExtImage,
  makeSparseFile,
  patchFile,
  seededBytes,
  setFeatures,
  setSuperblockFields,
  type ExtVariant,
} from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { startTwoHosts, type CommandEnd, type TwoHosts } from '../support/ssh/two-hosts.ts';

const MIB = 2 ** 20;
const variant: ExtVariant = {
  name: 'three groups',
  sizeMib: 24,
  options: ['-t', 'ext4', '-b', '4096', '-g', '2048'],
};

interface MovedDisk {
  sizeBytes: number;
  readBytes: number;
  holeBytes: number;
  freeBytes: number;
}

describeUnless(networkLabMissing() ?? toolsMissing(...imageTools), 'the content of an image', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    makeExtImage(here('original'), variant);
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const here = (name: string): string => join(hosts.old.images, name);
  const there = (name: string): string => join(hosts.new.images, name);
  const migrate = async (
    name: string,
    ...args: string[]
  ): Promise<{ disk: MovedDisk; ended: CommandEnd }> => {
    const ended = await hosts.run(['migrate', here(name), ...hosts.targetArguments(), '--json', ...args]);
    const { disks } = resultOf<{ disks: MovedDisk[] }>(ended);
    const [disk] = disks;
    if (disk === undefined) throw new Error('no disk');
    return { disk, ended };
  };
  const expectSameBytes = (name: string): void => {
    expect(readFileSync(there(name)).equals(readFileSync(here(name)))).toBe(true);
  };

  test('a clean file system: free blocks are not sent, and every file arrives', async () => {
    copyImage(here('original'), here('clean.img'));
    const { disk, ended } = await migrate('clean.img');
    const freeBytes = freeExtentsByDumpe2fs(here('clean.img')).reduce((sum, { length }) => sum + length, 0);
    expect(disk.freeBytes).toBeGreaterThan(0.95 * freeBytes);
    expect(disk.freeBytes).toBeLessThanOrEqual(freeBytes + variant.sizeMib);
    expect(disk.readBytes + disk.holeBytes + disk.freeBytes).toBe(disk.sizeBytes);
    expect(warningsOf(ended)).toEqual([]);
    expect(filesInExt(there('clean.img'))).toEqual(filesInExt(here('clean.img')));
    expect(statSync(there('clean.img')).blocks).toBeLessThan(statSync(here('clean.img')).blocks);
  });

  test('--every-block moves free blocks, too', async () => {
    copyImage(here('original'), here('every.img'));
    const { disk, ended } = await migrate('every.img', '--every-block');
    expect(disk).toMatchObject({ readBytes: disk.sizeBytes - disk.holeBytes, freeBytes: 0 });
    expect(disk.holeBytes).toBeLessThan(disk.sizeBytes / 4);
    expect(warningsOf(ended)).toEqual([]);
    expectSameBytes('every.img');
  });

  describe('a file system that cannot be trusted: all allocated blocks are moved, with a warning', () => {
    test.each<[what: string, code: WarningCode, name: string, damage: (path: string) => void]>([
      [
        'not unmounted',
        'file-system-not-clean',
        'dirty.img',
        (path) => setSuperblockFields(path, { state: '0' }),
      ],
      [
        'with a journal to replay',
        'file-system-not-clean',
        'journal.img',
        (path) => setFeatures(path, 'needs_recovery'),
      ],
      [
        'with a damaged superblock',
        'file-system-not-understood',
        'superblock.img',
        (path) => patchFile(path, 1024 + 24, seededBytes(3, 64)),
      ],
      [
        'with a superblock of zeros',
        'file-system-not-understood',
        'zeroed.img',
        (path) => patchFile(path, 1024, new Uint8Array(1024)),
      ],
      ['with damaged block bitmaps', 'file-system-not-clean', 'bitmaps.img', (path) => damageBitmaps(path)],
      [
        'with damaged group descriptors',
        'file-system-not-clean',
        'groups.img',
        (path) => patchFile(path, 4096, seededBytes(5, 2048)),
      ],
    ])('%s', async (_, code, name, damage) => {
      copyImage(here('original'), here(name));
      damage(here(name));
      const { disk, ended } = await migrate(name);
      expect(disk).toMatchObject({ readBytes: disk.sizeBytes - disk.holeBytes, freeBytes: 0 });
      expect(disk.holeBytes).toBeLessThan(disk.sizeBytes / 4);
      expect(warningsOf(ended)).toMatchObject([
        { code, message: expect.stringMatching(/^All allocated blocks of .* are read: /) },
      ]);
      expectSameBytes(name);
    });
  });

  test('holes stay holes, and a disk of only holes is quick', async () => {
    makeSparseFile(here('sparse.img'), 8 * 1024 * MIB);
    for (const offset of [0, 511, 4095 * MIB, 8191 * MIB])
      patchFile(here('sparse.img'), offset, seededBytes(9, 5000));
    const { disk } = await migrate('sparse.img');
    expect(disk.readBytes).toBeLessThan(MIB);
    expect(disk.holeBytes).toBe(disk.sizeBytes - disk.readBytes);
    expect(statSync(there('sparse.img'))).toMatchObject({ size: 8 * 1024 * MIB });
    expect(statSync(there('sparse.img')).blocks * 512).toBeLessThan(MIB);
    await using source = await openImage(here('sparse.img'));
    await using target = await openImage(there('sparse.img'));
    for (const { offset, length } of source.dataExtents())
      expect(Buffer.compare(target.read(offset, length), source.read(offset, length))).toBe(0);

    makeSparseFile(here('hollow.img'), 1024 * MIB);
    expect((await migrate('hollow.img')).disk.readBytes).toBe(0);
    expect(statSync(there('hollow.img'))).toMatchObject({ size: 1024 * MIB });
  });

  test('the copy has the mode, owner and modification time of the source, which does not change', async () => {
    const name = 'odd.img';
    makeSparseFile(here(name), 3 * MIB + 512);
    patchFile(here(name), 3 * MIB, seededBytes(2, 512));
    chmodSync(here(name), 0o640);
    chownSync(here(name), 1234, 4321);
    utimesSync(here(name), 1_000_000_000, 1_234_567_890.25);
    await migrate(name);
    const attributes = {
      mode: 0o100640,
      uid: 1234,
      gid: 4321,
      mtimeMs: 1_234_567_890_250,
      size: 3 * MIB + 512,
    };
    expect(statSync(there(name))).toMatchObject(attributes);
    expect(statSync(here(name))).toMatchObject(attributes);
    expectSameBytes(name);
  });

  test('a disk of one sector is moved', async () => {
    makeSparseFile(here('sector.img'), 512);
    patchFile(here('sector.img'), 0, seededBytes(4, 512));
    await migrate('sector.img');
    expectSameBytes('sector.img');
  });
});

/** Flips bits in each group's bitmap, so that its checksum is wrong. */
function damageBitmaps(path: string): void {
  const image = readFileSync(path);
  const blockBytes = 4096;
  // block group descriptors follow the superblock's block; 64 bytes each, the bitmap's block first (64bit feature)
  for (let group = 0; group < 3; group++) {
    const block = image.readUInt32LE(blockBytes + group * 64);
    const at = block * blockBytes + 20;
    patchFile(
      path,
      at,
      image.subarray(at, at + 64).map((byte) => byte ^ 0x55),
    );
  }
}

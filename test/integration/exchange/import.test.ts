import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CompressionFormat } from '../../../src/codec/compression-format.ts';
import { checksumsText } from '../../../src/archive/checksums.ts';
import { fingerprintsText } from '../../../src/archive/fingerprints.ts';
import { RunningChunkMap } from '../../../src/chunk/running-chunk-map.ts';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { sha256Of } from '../../support/archives/read-back.ts';
import { member, sparseMember, tarOf } from '../../support/archives/tar-members.ts';
import { runTool, seededBytes } from '../../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing } from '../../support/images/loop-device.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeUnless, describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const world = new ExchangeWorld();
const image = join(world.path, 'web.img');
let sha256 = '';
let fingerprint = '';
let number = 0;

beforeAll(async () => {
  writeSparseImage(image, {
    sectors: 24 * 2048 + 5,
    pieces: [
      { sector: 0, sectors: 20, kind: 'noise' },
      { sector: 5000, sectors: 9000, kind: 'text' },
      { sector: 24 * 2048 + 2, sectors: 2, kind: 'ones' },
    ],
  });
  sha256 = await fileSha256(image);
  const map = new RunningChunkMap(statSync(image).size);
  map.add(0, readFileSync(image));
  fingerprint = map.fingerprint();
});
afterAll(() => world[Symbol.asyncDispose]());

function newDirectory(): string {
  const path = join(world.path, `directory-${number++}`);
  mkdirSync(path);
  return path;
}

/** Writes the bytes to a file whose name says nothing. */
function fileOf(bytes: Uint8Array): string {
  const path = join(world.path, `file-${number++}`);
  writeFileSync(path, bytes);
  return path;
}

const formats: readonly CompressionFormat[] = ['zstd', 'gzip', 'xz', 'bzip2', 'none'];

describeWithTools('an import of', ['zstd', 'xz', 'bzip2', 'gzip'], () => {
  test.each(formats.flatMap((format) => [[format, 'archive'] as const, [format, 'image'] as const]))(
    '%s, %s, is told by its content, and gives the same bytes, with holes',
    async (format, content) => {
      const from = join(world.path, `${number++}-anything`);
      await world.export(image, { output: from, format, content });
      const to = join(newDirectory(), 'back.img');
      const report = await world.import({ from, to });
      expect(report).toMatchObject({
        type: 'imported',
        content,
        compression: format,
        guest: content === 'archive' ? 'web.img' : null,
        checked: content === 'archive' ? 'fingerprints' : null,
        disks: [
          {
            target: to,
            sizeBytes: statSync(image).size,
            sha256: content === 'archive' ? null : sha256,
            // The size of a compressed image is known at its end.
            fingerprint: content === 'image' && format !== 'none' ? null : fingerprint,
          },
        ],
      });
      expect(await fileSha256(to)).toBe(sha256);
      expect(statSync(to).mode & 0o777).toBe(0o600);
      expect(statSync(to).blocks * 512).toBeLessThan(8 * MIB);
    },
  );

  test('zstd in one large frame is unpacked by the program', async () => {
    const from = join(world.path, 'large-frame');
    runTool('zstd', ['-q', '-o', from, image]);
    const to = join(newDirectory(), 'back.img');
    expect(await world.import({ from, to })).toMatchObject({ compression: 'zstd', disks: [{ sha256 }] });
    expect(await fileSha256(to)).toBe(sha256);
  });

  test('without a program for bzip2, a thread unpacks it; what is cut off is noticed', async () => {
    const from = join(world.path, 'for-the-thread');
    await world.export(image, { output: from, format: 'bzip2', content: 'image' });
    const directory = newDirectory();
    const environment = { PATH: directory };
    const to = join(directory, 'back.img');
    expect(await world.import({ from, to }, { environment })).toMatchObject({ disks: [{ sha256 }] });
    expect(await fileSha256(to)).toBe(sha256);
    const cut = fileOf(readFileSync(from).subarray(0, -20));
    await expect(world.import({ from: cut, to: directory }, { environment })).rejects.toMatchObject({
      code: 'archive-damaged',
    });
    expect(readdirSync(directory)).toEqual(['back.img']);
  });

  test('a directory gets the names of the archive, or the name of the image without its ending', async () => {
    const directory = newDirectory();
    const archive = join(world.path, 'any.tar.zst');
    await world.export(image, { output: archive });
    await world.import({ from: archive, to: `${directory}/` });
    const bare = join(world.path, 'debian-root.bz2');
    await world.export(image, { output: bare, format: 'bzip2', content: 'image' });
    await world.import({ from: bare, to: directory });
    await world.import({ from: null, to: directory }, { stdin: createReadStream(bare) });
    expect(readdirSync(directory).sort()).toEqual(['debian-root', 'disk.img', 'web.img']);
    for (const name of readdirSync(directory)) expect(await fileSha256(join(directory, name))).toBe(sha256);
  });
});

describeWithTools('a tar of images that others made', ['tar'], () => {
  test('is imported, sparse or not', async () => {
    for (const options of [['--format=posix', '-S'], ['--format=gnu'], ['--format=ustar']]) {
      const tar = join(world.path, `${number++}.tar`);
      runTool('tar', [...options, '-cf', tar, '-C', world.path, 'web.img']);
      const directory = newDirectory();
      expect(await world.import({ from: tar, to: directory })).toMatchObject({ guest: null, checked: null });
      expect(await fileSha256(join(directory, 'web.img'))).toBe(sha256);
    }
  });
});

describeUnless(loopDevicesMissing(), 'onto a block device', () => {
  test('everything up to the end of the disk is written or cleared, and nothing behind it', async () => {
    const disk = join(world.path, 'device');
    const old = Buffer.from(seededBytes(3, 40 * MIB));
    for (const content of ['archive', 'image'] as const) {
      writeFileSync(disk, old);
      using device = attachLoopDevice(disk);
      const from = join(world.path, `${content}-for-device.bz2`);
      await world.export(image, { output: from, format: 'bzip2', content });
      expect(await world.import({ from, to: device.path, overwrite: true })).toMatchObject({
        disks: [{ target: device.path, fingerprint: content === 'archive' ? fingerprint : null }],
      });
      const now = readFileSync(device.path);
      const sizeBytes = statSync(image).size;
      expect(sha256Of(now.subarray(0, sizeBytes))).toBe(sha256);
      expect(now.subarray(sizeBytes).equals(old.subarray(sizeBytes))).toBe(true);
    }
  });

  test('a device that is too small, or that holds something, is refused', async () => {
    const from = join(world.path, 'for-small.bz2');
    await world.export(image, { output: from, format: 'bzip2', content: 'image' });
    const disk = join(world.path, 'small-device');
    writeFileSync(disk, Buffer.alloc(4 * MIB));
    using device = attachLoopDevice(disk);
    await expect(world.import({ from, to: device.path })).rejects.toMatchObject({ code: 'target-full' });
    runTool('mke2fs', ['-q', '-F', '-t', 'ext2', device.path]);
    await expect(world.import({ from, to: device.path })).rejects.toMatchObject({ code: 'target-exists' });
  });
});

describe('refused, with nothing under the final name:', () => {
  const disk = Buffer.from(seededBytes(1, 1024));
  const manifest = (name: string, sizeBytes: number, others: object = {}) =>
    Buffer.from(
      JSON.stringify({
        ...others,
        format: 'vmferry-archive',
        version: 1,
        createdBy: 'x',
        createdAt: '2026-11-29T12:00:00.000Z',
        guest: 'web',
        consistency: 'halted',
        definition: null,
        disks: [{ name, device: 'disk0', sizeBytes, dataBytes: 1024 }],
      }),
    );
  const sums = (...files: [string, Uint8Array][]) =>
    member(
      'SHA256SUMS',
      Buffer.from(checksumsText(new Map(files.map(([name, bytes]) => [name, sha256Of(bytes)])))),
    );
  const stated = manifest('a.img', 1024);
  const good = [member('manifest.json', stated), member('a.img', disk)];
  const announced = manifest('a.img', 1024, { fingerprints: 'fingerprints.json' });
  const fingerprinted = (text: string) => {
    const content = Buffer.from(text);
    return tarOf(
      member('manifest.json', announced),
      member('a.img', disk),
      member('fingerprints.json', content),
      sums(['manifest.json', announced], ['a.img', disk], ['fingerprints.json', content]),
    );
  };
  const goodSums = sums(['manifest.json', stated], ['a.img', disk]);

  const cases: readonly (readonly [what: string, bytes: Buffer, says: string])[] = [
    [
      'a checksum that does not match',
      tarOf(...good, sums(['manifest.json', stated], ['a.img', stated])),
      'match its checksum',
    ],
    [
      'a fingerprint that does not match',
      fingerprinted(fingerprintsText(new Map([['a.img', `sha256:${'0'.repeat(64)}`]]))),
      'match its fingerprint',
    ],
    ['a disk without a fingerprint', fingerprinted('{}'), 'no fingerprint of a.img'],
    ['fingerprints that are no fingerprints', fingerprinted('{"a.img":"x"}'), 'not valid'],
    [
      'no fingerprints, though the manifest names them',
      tarOf(
        member('manifest.json', announced),
        member('a.img', disk),
        sums(['manifest.json', announced], ['a.img', disk]),
      ),
      'lacks fingerprints.json',
    ],
    ['a file without a checksum', tarOf(...good, sums(['manifest.json', stated])), 'no checksum of a.img'],
    [
      'a checksum without a file',
      tarOf(...good, sums(['manifest.json', stated], ['a.img', disk], ['b.img', disk])),
      'but not the file',
    ],
    ['no checksums', tarOf(...good), 'but no SHA256SUMS'],
    [
      'checksums that are no checksums',
      tarOf(...good, member('SHA256SUMS', Buffer.from('hello'))),
      'not valid',
    ],
    [
      'something behind the checksums',
      tarOf(...good, goodSums, member('b.img', disk)),
      'behind its checksums',
    ],
    [
      'a disk that the manifest does not name',
      tarOf(good[0] ?? disk, member('b.img', disk)),
      'does not name',
    ],
    [
      'a disk of another size',
      tarOf(member('manifest.json', manifest('a.img', 2048)), member('a.img', disk)),
      'its manifest states 2048',
    ],
    ['a missing disk', tarOf(member('manifest.json', stated), sums(['manifest.json', stated])), 'no disk'],
    [
      'a manifest behind a disk',
      tarOf(member('a.img', disk), member('manifest.json', stated)),
      'behind something else',
    ],
    ['a manifest that is not JSON', tarOf(member('manifest.json', Buffer.from('{'))), 'not JSON'],
    [
      'a manifest of another version',
      tarOf(member('manifest.json', Buffer.from('{"version":2}'))),
      'this version does not read',
    ],
    ['a cut archive', tarOf(...good, goodSums).subarray(0, -1024), 'ends too early'],
    ['a link', tarOf(member('../a.img', disk)), 'plain file name'],
    ['nothing', Buffer.alloc(0), 'is empty'],
    ['a disk of no bytes', tarOf(member('a.img', Buffer.alloc(0))), '0 bytes'],
    ['a part of a sector', tarOf(member('a.img', Buffer.alloc(513))), '513 bytes'],
    [
      'a disk of 2^53 - 1 bytes',
      tarOf(sparseMember('a.img', 2 ** 53 - 512, '1\n0\n512\n', disk.subarray(0, 512))),
      '64 TiB',
    ],
    ['a qcow2 image', Buffer.concat([Buffer.from('QFI\u00fb', 'latin1'), Buffer.alloc(2048)]), 'qcow2'],
  ];

  test.each(cases)('%s', async (_, bytes, says) => {
    const directory = newDirectory();
    await expect(world.import({ from: fileOf(bytes), to: directory })).rejects.toMatchObject({
      code: expect.stringMatching(/^(archive-damaged|image-not-a-disk|image-unsupported)$/),
      message: expect.stringContaining(says),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('several disks to one file, an existing file, and a missing directory', async () => {
    const directory = newDirectory();
    const two = fileOf(tarOf(member('a.img', disk), member('b.img', disk)));
    await expect(world.import({ from: two, to: join(directory, 'x') })).rejects.toMatchObject({
      code: 'usage',
    });
    expect(readdirSync(directory)).toEqual([]);
    const one = fileOf(tarOf(member('a.img', disk)));
    writeFileSync(join(directory, 'a.img'), 'precious');
    await expect(world.import({ from: one, to: directory })).rejects.toMatchObject({ code: 'target-exists' });
    await expect(world.import({ from: one, to: `${directory}/no/` })).rejects.toMatchObject({
      code: 'target-missing',
    });
    expect(readFileSync(join(directory, 'a.img'), 'utf8')).toBe('precious');
    // The second disk cannot get its place: the first one does not get its name either.
    await expect(
      world.import({ from: fileOf(tarOf(member('0.img', disk), member('a.img', disk))), to: directory }),
    ).rejects.toMatchObject({ code: 'target-exists' });
    expect(readdirSync(directory)).toEqual(['a.img']);
  });
});

describeWithTools(
  'a compressed image that is cut off or changed is refused:',
  ['zstd', 'xz', 'bzip2', 'gzip'],
  () => {
    test.each(formats.filter((format) => format !== 'none'))('%s', async (format) => {
      const from = join(world.path, `${number++}-whole`);
      await world.export(image, { output: from, format, content: 'image' });
      const whole = readFileSync(from);
      const directory = newDirectory();
      const changed = Buffer.from(whole);
      const middle = changed.length >> 1;
      changed.fill(0x55, middle, middle + 64);
      for (const bytes of [whole.subarray(0, whole.length >> 1), changed]) {
        const path = fileOf(bytes);
        await expect(world.import({ from: path, to: directory })).rejects.toMatchObject({
          code: 'archive-damaged',
        });
      }
      expect(readdirSync(directory)).toEqual([]);
    });

    test('a raw image that ends inside a sector', async () => {
      const path = fileOf(readFileSync(image));
      truncateSync(path, statSync(path).size - 100);
      const directory = newDirectory();
      await expect(world.import({ from: path, to: directory })).rejects.toMatchObject({
        code: 'image-not-a-disk',
      });
      expect(readdirSync(directory)).toEqual([]);
    });
  },
);

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { CompressionFormat } from '../../../src/codec/compression-format.ts';
import { unpackTar } from '../../support/archives/read-back.ts';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { makeGarbageFile, runTool } from '../../support/images/images.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const world = new ExchangeWorld();
const image = join(world.path, 'web.img');
const ext4 = join(world.path, 'ext4.img');
let number = 0;

beforeAll(() => {
  writeSparseImage(image, {
    sectors: 48 * 2048 + 3,
    pieces: [
      { sector: 0, sectors: 20, kind: 'noise' },
      { sector: 5000, sectors: 9000, kind: 'text' },
      { sector: 40_001, sectors: 3000, kind: 'noise' },
      { sector: 48 * 2048, sectors: 3, kind: 'ones' },
    ],
  });
});
afterAll(() => world[Symbol.asyncDispose]());

function newDirectory(): string {
  const path = join(world.path, `directory-${number++}`);
  mkdirSync(path);
  return path;
}

function allocatedBytes(path: string): number {
  return statSync(path).blocks * 512;
}

const archives: readonly (readonly [CompressionFormat, string])[] = [
  ['zstd', '.tar.zst'],
  ['gzip', '.tar.gz'],
  ['xz', '.tar.xz'],
  ['bzip2', '.tar.bz2'],
  ['none', '.tar'],
];

describeWithTools('an archive', ['tar', 'bsdtar', 'sha256sum', 'zstd', 'xz', 'bzip2', 'gzip'], () => {
  test.each(archives)(
    'of %s is unpacked by GNU tar and by bsdtar: the same bytes, with holes',
    async (format, ending) => {
      const output = join(world.path, `web${ending}`);
      const report = await world.export(image, { output, format });
      expect(statSync(output).mode & 0o777).toBe(0o600);
      expect(report).toMatchObject({ type: 'exported', guest: 'web.img', sizeBytes: statSync(output).size });
      const sha256 = await fileSha256(image);
      expect(report.disks).toMatchObject([{ name: 'web.img', sha256 }]);
      for (const program of ['tar', 'bsdtar']) {
        const directory = newDirectory();
        runTool(program, ['-xf', output, '-C', directory]);
        expect(runTool('sh', ['-c', `cd ${directory} && sha256sum -c SHA256SUMS`])).toBe(
          'manifest.json: OK\nweb.img: OK\nfingerprints.json: OK\n',
        );
        expect(await fileSha256(join(directory, 'web.img'))).toBe(sha256);
        expect(allocatedBytes(join(directory, 'web.img'))).toBeLessThan(8 * MIB);
      }
    },
  );
});

describeWithTools('the archive of an ext4 image', ['mke2fs', 'e2fsck', 'tar', 'zstd'], () => {
  test('leaves out its free blocks', async () => {
    makeGarbageFile(ext4, 64 * MIB);
    runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'nodiscard', ext4]);
    const output = join(world.path, 'ext4.tar.zst');
    const report = await world.export(ext4, { output });
    expect(report.disks[0]?.freeBytes).toBeGreaterThan(40 * MIB);
    const directory = newDirectory();
    runTool('tar', ['-xf', output, '-C', directory]);
    expect(allocatedBytes(join(directory, 'ext4.img'))).toBeLessThan(24 * MIB);
    runTool('e2fsck', ['-fn', join(directory, 'ext4.img')]);
  });
});

test('a zstd archive is made of frames of 2 MiB, and ends with a seek table that names each', async () => {
  const output = join(world.path, 'frames.tar.zst');
  const report = await world.export(image, { output });
  const bytes = readFileSync(output);
  expect(bytes.readUInt32LE(bytes.length - 4)).toBe(0x8f92eab1);
  const count = bytes.readUInt32LE(bytes.length - 9);
  const tableBytes = 8 * count + 9;
  const table = bytes.subarray(bytes.length - tableBytes);
  expect(bytes.readUInt32LE(bytes.length - tableBytes - 8)).toBe(0x184d2a5e);
  expect(bytes.readUInt32LE(bytes.length - tableBytes - 4)).toBe(tableBytes);
  let start = 0;
  let plainBytes = 0;
  for (let index = 0; index < count; index++) {
    expect(bytes.readUInt32LE(start)).toBe(0xfd2fb528);
    start += table.readUInt32LE(8 * index);
    plainBytes += table.readUInt32LE(8 * index + 4);
  }
  expect(start).toBe(bytes.length - tableBytes - 8);
  expect(plainBytes % 512).toBe(0);
  expect(plainBytes).toBeGreaterThan(report.disks[0]?.readBytes ?? 0);
  expect(count).toBe(Math.ceil(plainBytes / (2 * MIB)));
});

test('to standard output comes the same archive, and a manifest that says what it holds', async () => {
  const stdout = new PassThrough();
  const [bytes, report] = await Promise.all([
    buffer(stdout),
    world.export(image, { output: null, format: 'none' }, { stdout }).finally(() => stdout.end()),
  ]);
  expect(report).toMatchObject({ output: null, sizeBytes: bytes.length });
  const [manifest] = await unpackTar(bytes);
  expect(JSON.parse(manifest?.content.toString() ?? '')).toMatchObject({
    format: 'vmferry-archive',
    version: 1,
    guest: 'web.img',
    consistency: 'halted',
    definition: null,
    disks: [{ name: 'web.img', sizeBytes: statSync(image).size }],
  });
});

test('an archive is not written to a terminal', async () => {
  const stdout = Object.assign(new PassThrough(), { isTTY: true });
  await expect(world.export(image, { output: null }, { stdout })).rejects.toMatchObject({ code: 'usage' });
});

test('what exists is never overwritten, and a failed export leaves nothing', async () => {
  const directory = newDirectory();
  const output = join(directory, 'web.tar');
  writeFileSync(output, 'precious');
  await expect(world.export(image, { output })).rejects.toMatchObject({ code: 'target-exists' });
  await expect(world.export(image, { output: join(directory, 'no', 'web.tar') })).rejects.toMatchObject({
    code: 'target-missing',
  });
  const odd = join(directory, 'odd.img');
  writeFileSync(odd, Buffer.alloc(1000));
  await expect(world.export(odd, { output: join(directory, 'odd.tar') })).rejects.toMatchObject({
    code: 'image-not-a-disk',
  });
  expect(readdirSync(directory).sort()).toEqual(['odd.img', 'web.tar']);
  expect(readFileSync(output, 'utf8')).toBe('precious');
});

test('a missing program is said before anything is written; gzip needs none', async () => {
  const directory = newDirectory();
  const environment = { PATH: directory };
  for (const format of ['bzip2', 'xz'] as const)
    await expect(
      world.export(image, { output: join(directory, `web.tar.${format}`), format }, { environment }),
    ).rejects.toMatchObject({ code: 'program-missing' });
  expect(readdirSync(directory)).toEqual([]);
  const output = join(directory, 'web.img.gz');
  await world.export(image, { output, format: 'gzip', content: 'image' }, { environment });
  const target = join(directory, 'back.img');
  await world.import({ from: output, to: target });
  expect(await fileSha256(target)).toBe(await fileSha256(image));
});

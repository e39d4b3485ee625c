import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from '@jest/globals';
import { rowsOf } from '../../src/chunk/chunk-list.ts';
import { ChunkMap, chunkMapText, parseChunkMap } from '../../src/chunk/chunk-map.ts';
import { chunkGridFor } from '../../src/chunk/chunk-grid.ts';
import { zstdImplementations } from '../../src/codec/zstd.ts';
import { applyFrames } from '../../src/workers/apply-jobs.ts';
import { Scratch } from '../../src/workers/scratch.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { restoreByScript } from '../support/stores/restore-script.ts';
import { describeWithTools } from '../support/programs/tools.ts';

const fixture = fileURLToPath(new URL('../../fixtures/v1/', import.meta.url));
const packs = join(fixture, 'packs');
const mapFile = join(fixture, 'chunk-map.zst');
const packFiles = readdirSync(packs);
const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
  imageBytes: number;
  sha256: string;
  fingerprint: string;
};
const scratch = scratchDirectory();
afterAll(() => {
  scratch[Symbol.dispose]();
});

function fileSha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

describe('an image that version 1 wrote', () => {
  test('has not changed', () => {
    expect(packFiles).toHaveLength(3);
    for (const file of packFiles) expect(fileSha256(join(packs, file))).toBe(basename(file, '.tar'));
  });

  test.each(Array.from(zstdImplementations(), (zstd) => ({ name: zstd.name, zstd })))(
    'is read by this version, with $name',
    async ({ name, zstd }) => {
      const path = join(scratch.path, name.replace(':', '-'));
      const image = await open(path, 'w+');
      await image.truncate(expected.imageBytes);
      const grid = chunkGridFor(expected.imageBytes);
      const map = new ChunkMap(grid);
      for (const file of packFiles) {
        const packPath = join(packs, file);
        const packId = basename(file, '.tar');
        const { chunks } = await applyFrames(
          {
            kind: 'apply',
            fd: image.fd,
            directFd: null,
            grid,
            targetReadsAsZero: true,
            from: { packId, packPath },
          },
          zstd,
          new Scratch(),
        );
        for (const { position, id } of rowsOf(chunks)) map.set(position, id);
      }
      await image.close();
      expect(fileSha256(path)).toBe(expected.sha256);
      expect(map.fingerprint()).toBe(expected.fingerprint);
    },
  );

  describeWithTools('its chunk map', ['zstd'], () => {
    test('can be read, and is written the same again', () => {
      const text = execFileSync('zstd', ['-dcq', mapFile], { encoding: 'utf8' });
      const map = parseChunkMap([text]);
      expect(map.fingerprint()).toBe(expected.fingerprint);
      expect([...chunkMapText(map)].join('')).toBe(text);
    });
  });
});

describeWithTools('restore.sh', ['zstd', 'tar', 'awk'], () => {
  const target = (name: string) => join(scratch.path, name);

  test('restores it as a sparse file', () => {
    const out = target('restored image');
    const { status, stdout, stderr } = restoreByScript(packs, mapFile, out);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: `${expected.fingerprint}\n`,
      stderr: '',
    });
    expect(fileSha256(out)).toBe(expected.sha256);
    expect(statSync(out).size).toBe(expected.imageBytes);
    expect(statSync(out).blocks * 512).toBeLessThan(2 ** 20);
  });

  /** A changed copy of the packs and the map. */
  function damaged(name: string, change: (directory: string) => void): string {
    const directory = target(name);
    mkdirSync(directory);
    for (const file of packFiles) writeFileSync(join(directory, file), readFileSync(join(packs, file)));
    writeFileSync(join(directory, 'map.zst'), readFileSync(mapFile));
    change(directory);
    return directory;
  }

  function flip(path: string, offset: number): void {
    const bytes = readFileSync(path);
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  }

  const [first = '', second = ''] = packFiles;
  const withoutTable = (bytes: Buffer) =>
    Buffer.concat([bytes.subarray(0, 1024), bytes.subarray(1024 + 512 + 1536)]);

  test.each<[string, RegExp, (directory: string) => void]>([
    ['a changed pack', /damaged: its SHA-256 is not its name/, (at) => flip(join(at, second), 5000)],
    [
      'a pack under the name of another',
      /damaged: its SHA-256/,
      (at) => writeFileSync(join(at, first), readFileSync(join(at, second))),
    ],
    ['a missing pack', /32 chunks are in no pack, the first at position 16/, (at) => rmSync(join(at, first))],
    ['a map that does not unpack', /cannot be unpacked/, (at) => flip(join(at, 'map.zst'), 2)],
    [
      'a truncated map',
      /cannot be unpacked/,
      (at) => writeFileSync(join(at, 'map.zst'), readFileSync(mapFile).subarray(0, 900)),
    ],
    [
      'another map',
      /is not a chunk map/,
      (at) => writeMap(at, 'vmferry-chunk-map 2\nimage-bytes 512\nchunk-bytes 65536\n'),
    ],
    ['a map with a bad line', /is not a chunk map/, (at) => writeMap(at, `${mapText()}99999 nonsense\n`)],
    [
      'a map that asks for another chunk',
      /1 chunks are in no pack, the first at position 0/,
      (at) => writeMap(at, mapText().replace(/^0 .{64}$/m, `0 ${'ab'.repeat(32)}`)),
    ],
    [
      'a pack that is no tar file',
      /is not a pack|damaged/,
      (at) => replaceFirst(at, () => Buffer.from('no tar')),
    ],
    ['a pack without a table', /is not a pack of version 1/, (at) => replaceFirst(at, withoutTable)],
    [
      'a pack of another version',
      /is not a pack of version 1/,
      (at) => replaceFirst(at, (bytes) => bytes.fill('2', 512 + 13, 512 + 14)),
    ],
    ['a table that lies about a chunk', /does not match its SHA-256/, lieAboutSecondChunk],
  ])('refuses %s', (name, message, change) => {
    const directory = damaged(name, change);
    const out = join(directory, 'out');
    const { status, stdout, stderr } = restoreByScript(directory, join(directory, 'map.zst'), out);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^restore\.sh: /m);
    expect(readdirSync(directory).filter((file) => file.startsWith('out'))).toEqual([]);
  });

  test('does not replace a file', () => {
    const out = target('mine');
    writeFileSync(out, 'precious');
    expect(restoreByScript(packs, mapFile, out)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('exists'),
    });
    expect(readFileSync(out, 'utf8')).toBe('precious');
    const other = target('other');
    writeFileSync(`${other}.partial`, 'precious, too');
    expect(restoreByScript(packs, mapFile, other).status).toBe(1);
    expect(readFileSync(`${other}.partial`, 'utf8')).toBe('precious, too');
  });

  test('prints its usage', () => {
    expect(restoreByScript().stderr).toContain('usage: sh restore.sh DIRECTORY MAP.zst OUT');
    expect(restoreByScript(join(packs, 'nowhere'), mapFile, target('none')).stderr).toContain('no directory');
  });

  function mapText(): string {
    return execFileSync('zstd', ['-dcq', mapFile], { encoding: 'utf8' });
  }

  function writeMap(directory: string, text: string): void {
    writeFileSync(join(directory, 'map.zst'), execFileSync('zstd', ['-qc'], { input: text }));
  }

  /** Changes the first pack and names it by its new SHA-256: only its content shows the damage. */
  function replaceFirst(directory: string, change: (bytes: Buffer) => Buffer): void {
    const bytes = change(readFileSync(join(packs, first)));
    rmSync(join(directory, first));
    writeFileSync(join(directory, `${createHash('sha256').update(bytes).digest('hex')}.tar`), bytes);
  }

  /** Replaces the id of a chunk, in the table and in the map. */
  function lieAboutSecondChunk(directory: string): void {
    replaceFirst(directory, (bytes) => {
      const line = bytes.indexOf('\n', 1024 + 512) + 1;
      const id = bytes.indexOf(' ', line) + 1;
      const position = bytes.toString('latin1', line, id - 1);
      bytes.fill('a', id, id + 64);
      writeMap(
        directory,
        mapText().replace(new RegExp(`^${position} .{64}$`, 'm'), `${position} ${'a'.repeat(64)}`),
      );
      return bytes;
    });
  }
});

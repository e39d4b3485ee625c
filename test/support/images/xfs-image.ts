import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Extent } from '../../../src/extent/extents.ts';
import { findTool } from '../programs/tools.ts';
import { makeGarbageFile, runTool, scratchDirectory, seededBytes } from './images.ts';
import { attachLoopDevice } from './loop-device.ts';

const MIB = 2 ** 20;

/**
 * Makes a file full of garbage and an XFS over it. mkfs.xfs makes none below 300 MiB, except for the tests of xfsprogs, which
 * set these variables.
 */
export function makeXfs(path: string, options: readonly string[] = [], sizeBytes = 64 * MIB): void {
  makeGarbageFile(path, sizeBytes);
  const result = spawnSync(findTool('mkfs.xfs') ?? 'mkfs.xfs', ['-q', '-f', '-K', ...options, path], {
    encoding: 'utf8',
    env: { ...process.env, TEST_DIR: 'any', TEST_DEV: 'any', QA_CHECK_FS: 'any' },
  });
  if (result.status !== 0) throw new Error(`mkfs.xfs ${options.join(' ')}: ${result.stderr}`);
}

/**
 * Mounts the file system in the image, and calls `use` with its directory. Before it is unmounted it becomes read-only: another
 * mount namespace of the machine may keep the mount, and the log would stay dirty.
 */
export function withMounted<Result>(
  path: string,
  use: (directory: string) => Result,
  options: readonly string[] = [],
): Result {
  using scratch = scratchDirectory();
  const directory = join(scratch.path, 'mounted');
  mkdirSync(directory);
  using device = attachLoopDevice(path);
  runTool('mount', [...options, device.path, directory]);
  try {
    return use(directory);
  } finally {
    runTool('mount', ['-o', 'remount,ro', directory]);
    runTool('umount', [directory]);
    runTool('blockdev', ['--flushbufs', device.path]);
  }
}

/** Writes files of all sizes and removes some, as a guest does: its free space is in many pieces. */
export function liveIn(directory: string): void {
  const pathOf = (index: number): string => join(directory, `file-${index}`);
  for (let index = 0; index < 600; index++)
    writeFileSync(pathOf(index), seededBytes(index + 1, (index * 997) % 30_000));
  runTool('sync', ['-f', directory]);
  for (let index = 0; index < 600; index += 2) rmSync(pathOf(index));
}

/** Path and SHA-256 of each file in the directory. */
export function filesIn(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  return new Map(
    files
      .map((one) => join(one.parentPath, one.name))
      .toSorted()
      .map((file) => [
        file.slice(directory.length),
        createHash('sha256').update(readFileSync(file)).digest('hex'),
      ]),
  );
}

/** The files of the file system in an image whose log is clean. */
export function filesInXfs(path: string): Map<string, string> {
  return withMounted(path, filesIn, ['-o', 'ro,nouuid']);
}

/** Throws unless xfs_repair(8) finds nothing to repair. */
export function expectSoundXfs(path: string): void {
  runTool('xfs_repair', ['-n', '-f', path]);
}

/**
 * The free extents that xfs_db(8) lists, sorted. It counts the spare blocks of each group's trees (AGFL), too: `spareBytes` are
 * theirs.
 */
export function freeExtentsByXfsDb(path: string): { free: Extent[]; spareBytes: number } {
  const ask = (...commands: string[]): string =>
    runTool('xfs_db', ['-r', '-f', ...commands.flatMap((command) => ['-c', command]), path]);
  const field = (text: string, name: string): number =>
    Number(new RegExp(`^${name} = (\\d+)`, 'm').exec(text)?.[1]);
  const superblock = ask('sb 0', 'p');
  const [blockBytes, groupBlocks] = [field(superblock, 'blocksize'), field(superblock, 'agblocks')];
  const groups = Array.from({ length: field(superblock, 'agcount') }, (_, group) => group);
  const spareBlocks = groups.map((group) => field(ask(`agf ${group}`, 'p'), 'flcount'));
  const free = [...ask('freesp -d').matchAll(/^ +(\d+) +(\d+) +(\d+)$/gm)].map(
    ([, group = '', block = '', count = '']) => ({
      offset: (Number(group) * groupBlocks + Number(block)) * blockBytes,
      length: Number(count) * blockBytes,
    }),
  );
  return {
    free: free.toSorted((one, other) => one.offset - other.offset),
    spareBytes: spareBlocks.reduce((sum, count) => sum + count, 0) * blockBytes,
  };
}

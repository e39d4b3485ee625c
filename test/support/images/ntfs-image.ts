import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Extent, mergeTouching } from '../../../src/extent/extents.ts';
import { makeGarbageFile, runTool, scratchDirectory, seededBytes } from './images.ts';

const FILES = 60;

/** Why ntfs-3g(8) cannot mount here; null if it can. */
export function ntfsMountingMissing(): string | null {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  return existsSync('/dev/fuse') ? null : 'there is no /dev/fuse';
}

/** Makes a file full of garbage, and an NTFS over it on which files have been written and deleted. */
export function makeNtfs(path: string, options: readonly string[], sizeBytes: number): void {
  makeGarbageFile(path, sizeBytes);
  runTool('mkntfs', ['-F', '-Q', '-q', '-L', 'guest data', ...options, path]);
  withNtfsMounted(path, (directory) => {
    mkdirSync(join(directory, 'Users'));
    const pathOf = (index: number): string => join(directory, 'Users', `file ${index}`);
    for (let index = 0; index < FILES; index++)
      writeFileSync(pathOf(index), seededBytes(index + 1, (index * 1009) % 20_000));
    for (let index = 0; index < FILES; index += 2) rmSync(pathOf(index));
    writeFileSync(join(directory, 'large'), seededBytes(99, 300_001));
  });
}

/** Mounts the file system in the image by ntfs-3g(8), and calls `use` with its directory. */
export function withNtfsMounted<Result>(
  path: string,
  use: (directory: string) => Result,
  options: readonly string[] = [],
): Result {
  using scratch = scratchDirectory();
  runTool('ntfs-3g', [...options, path, scratch.path]);
  try {
    return use(scratch.path);
  } finally {
    runTool('umount', [scratch.path]);
  }
}

/** What the bitmap of the file system says, as ntfscat(8) reads it. */
export function usedByBitmap(path: string): Extent[] {
  using scratch = scratchDirectory();
  const file = join(scratch.path, 'bitmap');
  runTool('sh', ['-c', 'ntfscat -f -i 6 "$1" >"$2"', 'sh', path, file]);
  const bitmap = readFileSync(file);
  const { clusterBytes, clusterCount } = sizesByNtfsinfo(path);
  const clusters = Array.from({ length: clusterCount }, (_, cluster) => cluster);
  return [
    ...mergeTouching(
      clusters
        .filter((cluster) => ((bitmap[cluster >> 3] ?? 0) & (1 << (cluster & 7))) !== 0)
        .map((cluster) => ({ offset: cluster * clusterBytes, length: clusterBytes })),
    ),
  ];
}

function sizesByNtfsinfo(path: string): { clusterBytes: number; clusterCount: number } {
  const described = runTool('ntfsinfo', ['-f', '-m', path]);
  const number = (label: string): number => Number(new RegExp(`${label}: (\\d+)`).exec(described)?.[1]);
  return { clusterBytes: number('Cluster Size'), clusterCount: number('Volume Size in Clusters') };
}

/** Throws unless ntfsresize(8) finds the file system consistent, all its clusters accounted for. */
export function expectSoundNtfs(path: string): void {
  runTool('ntfsresize', ['--info', '--force', '--no-progress-bar', path]);
}

/** Path and SHA-256 of each file. */
export function filesInNtfs(path: string): Map<string, string> {
  return withNtfsMounted(
    path,
    (directory) => {
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
    },
    ['-o', 'ro'],
  );
}

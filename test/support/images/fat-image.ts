import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Extent, mergeTouching } from '../../../src/extent/extents.ts';
import { makeGarbageFile, runTool, scratchDirectory, seededBytes } from './images.ts';

const FILES = 40;

/** Makes a file full of garbage and a FAT over it, with files in directories; every second file is deleted again. */
export function makeFat(path: string, options: readonly string[], sizeBytes: number): void {
  makeGarbageFile(path, sizeBytes);
  runTool('mkfs.fat', ['-n', 'GUEST EFI', ...options, path]);
  using content = scratchDirectory();
  const directory = join(content.path, 'efi');
  mkdirSync(join(directory, 'boot'), { recursive: true });
  for (let index = 0; index < FILES; index++)
    writeFileSync(join(directory, `a long name ${index}`), seededBytes(index + 1, (index * 997) % 30_000));
  writeFileSync(join(directory, 'boot', 'large'), seededBytes(77, 100_001));
  writeFileSync(join(directory, 'boot', 'empty'), '');
  runTool('mcopy', ['-s', '-i', path, directory, '::/']);
  const odd = Array.from({ length: FILES / 2 }, (_, index) => `::/efi/a long name ${index * 2 + 1}`);
  runTool('mdel', ['-i', path, ...odd]);
}

/** Throws unless fsck.fat(8) finds nothing to repair; returns the clusters that it counts. */
export function clustersByFsck(path: string): { used: number; all: number } {
  const [, used, all] = /, (\d+)\/(\d+) clusters/.exec(runTool('fsck.fat', ['-n', path])) ?? [];
  return { used: Number(used), all: Number(all) };
}

/** What mtools says of the places in use: everything before the first cluster, and the clusters of each file. */
export function usedByMtools(path: string): Extent[] {
  const described = runTool('fsck.fat', ['-n', '-v', path]);
  const [, dataOffset] = /Data area starts at byte (\d+)/.exec(described) ?? [];
  const [, clusterBytes] = /(\d+) bytes per cluster/.exec(described) ?? [];
  const [data, cluster] = [Number(dataOffset), Number(clusterBytes)];
  const listed = ['::/', '::/efi/*', '::/efi/boot/*'].map((place) =>
    runTool('mshowfat', ['-i', path, place]),
  );
  const runs = [...listed.join('').matchAll(/<(\d+)(?:-(\d+))?>/g)].map(([, first, last = first]) => ({
    offset: data + (Number(first) - 2) * cluster,
    length: (Number(last) - Number(first) + 1) * cluster,
  }));
  const inside = runs
    .filter(({ offset }) => offset >= data)
    .toSorted((one, other) => one.offset - other.offset);
  return [...mergeTouching([{ offset: 0, length: data }, ...inside])];
}

/** Path and SHA-256 of each file, read by mtools. */
export function filesInFat(path: string): Map<string, string> {
  using copy = scratchDirectory();
  runTool('mcopy', ['-s', '-n', '-i', path, '::/*', copy.path]);
  const files = readdirSync(copy.path, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  return new Map(
    files
      .map((one) => join(one.parentPath, one.name))
      .toSorted()
      .map((file) => [
        file.slice(copy.path.length),
        createHash('sha256').update(readFileSync(file)).digest('hex'),
      ]),
  );
}

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Extent } from '../../../src/extent/extents.ts';
import { findTool } from '../programs/tools.ts';

/** The programs that the functions below run. */
export const imageTools = ['mke2fs', 'debugfs', 'dumpe2fs', 'e2fsck'] as const;

const MIB = 2 ** 20;

/** Runs a program and returns its stdout. If its exit status is not 0, throws with all that it printed. */
export function runTool(program: string, args: readonly string[], input?: string): string {
  const result = spawnSync(findTool(program) ?? program, args, {
    encoding: 'utf8',
    maxBuffer: 256 * MIB,
    env: { ...process.env, LC_ALL: 'C', MKE2FS_SYNC: '0' },
    ...(input === undefined ? {} : { input }),
  });
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** A new directory, removed with its content at the end of the scope. */
export function scratchDirectory(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'vmferry-test-'));
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Makes a file that is one hole. */
export function makeSparseFile(path: string, sizeBytes: number): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
}

/** Makes a file without holes and zero bytes, so that the content of free blocks is visible. */
export function makeGarbageFile(path: string, sizeBytes: number): void {
  const fd = openSync(path, 'w');
  const piece = seededBytes(4711, MIB);
  for (let offset = 0; offset < sizeBytes; offset += MIB)
    writeSync(fd, piece, 0, Math.min(MIB, sizeBytes - offset), offset);
  closeSync(fd);
}

/** The same bytes for the same seed; they do not compress. */
export function seededBytes(seed: number, length: number): Uint8Array {
  // Uses the machine's words for speed, as tests make hundreds of MiB of this. Their byte order is the same on x86 and
  // ARM.
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4);
  const words = new Uint32Array(bytes.buffer);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return bytes.subarray(0, length);
}

/** How one image of an ext file system is made. */
export interface ExtVariant {
  name: string;
  sizeMib: number;
  /** Options of mke2fs(8). */
  options: readonly string[];
  /** More 512-byte sectors behind the file system's last block. */
  tailSectors?: number;
}

const small = ['-b', '1024'];
const large = ['-b', '4096'];

/** Images of many kinds: block sizes, generations, and each feature that changes how used blocks are recorded. */
export const extVariants: readonly ExtVariant[] = [
  { name: 'ext2, 1 KiB', sizeMib: 48, options: ['-t', 'ext2', ...small] },
  { name: 'ext2, 4 KiB, several groups', sizeMib: 80, options: ['-t', 'ext2', ...large, '-g', '4096'] },
  { name: 'ext2, revision 0', sizeMib: 40, options: ['-t', 'ext2', ...small, '-r', '0'] },
  {
    name: 'ext2, 2 KiB, copies in all groups',
    sizeMib: 64,
    options: ['-t', 'ext2', '-b', '2048', '-g', '8192', '-O', '^sparse_super,^resize_inode'],
  },
  { name: 'ext3, 1 KiB', sizeMib: 64, options: ['-t', 'ext3', ...small] },
  { name: 'ext3, 4 KiB', sizeMib: 300, options: ['-t', 'ext3', ...large] },
  {
    name: 'ext3, 1 KiB, a short last group',
    sizeMib: 41,
    options: ['-t', 'ext3', ...small],
    tailSectors: 1234,
  },
  { name: 'ext4, defaults', sizeMib: 300, options: ['-t', 'ext4', ...large] },
  { name: 'ext4, 1 KiB', sizeMib: 64, options: ['-t', 'ext4', ...small] },
  {
    name: 'ext4, several groups',
    sizeMib: 96,
    options: ['-t', 'ext4', ...large, '-g', '2048'],
    tailSectors: 5,
  },
  { name: 'ext4, flex groups of 4', sizeMib: 96, options: ['-t', 'ext4', ...small, '-G', '4'] },
  { name: 'ext4, 32 bits', sizeMib: 96, options: ['-t', 'ext4', ...large, '-g', '4096', '-O', '^64bit'] },
  { name: 'ext4, no journal', sizeMib: 64, options: ['-t', 'ext4', ...small, '-O', '^has_journal'] },
  { name: 'ext4, no flex_bg', sizeMib: 64, options: ['-t', 'ext4', ...small, '-O', '^flex_bg'] },
  {
    name: 'ext4, uninit_bg',
    sizeMib: 96,
    options: ['-t', 'ext4', ...small, '-O', '^metadata_csum,uninit_bg'],
  },
  {
    name: 'ext4, uninit_bg, 32 bits, no flex_bg',
    sizeMib: 96,
    options: ['-t', 'ext4', ...small, '-O', '^metadata_csum,uninit_bg,^64bit,^flex_bg'],
  },
  {
    name: 'ext4, no checksums',
    sizeMib: 96,
    options: ['-t', 'ext4', ...small, '-O', '^metadata_csum,^uninit_bg'],
  },
  {
    name: 'ext4, metadata_csum_seed',
    sizeMib: 64,
    options: ['-t', 'ext4', ...small, '-O', 'metadata_csum_seed'],
  },
  {
    name: 'ext4, meta_bg',
    sizeMib: 200,
    options: ['-t', 'ext4', ...small, '-g', '1024', '-O', 'meta_bg,^resize_inode'],
  },
  {
    name: 'ext4, meta_bg, no flex_bg, 32 bits',
    sizeMib: 120,
    options: ['-t', 'ext4', ...small, '-g', '1024', '-O', 'meta_bg,^resize_inode,^flex_bg,^64bit'],
  },
  {
    name: 'ext3, meta_bg',
    sizeMib: 100,
    options: ['-t', 'ext3', ...small, '-g', '1024', '-O', 'meta_bg,^resize_inode'],
  },
  {
    name: 'ext4, sparse_super2',
    sizeMib: 96,
    options: ['-t', 'ext4', ...small, '-O', 'sparse_super2,^sparse_super,^resize_inode'],
  },
  {
    name: 'ext4, sparse_super2, uninit_bg',
    sizeMib: 96,
    options: ['-t', 'ext4', ...small, '-O', 'sparse_super2,^metadata_csum,uninit_bg'],
  },
  {
    name: 'ext4, bigalloc, 4 KiB',
    sizeMib: 160,
    options: ['-t', 'ext4', ...large, '-O', 'bigalloc', '-C', '16384', '-g', '1024'],
    tailSectors: 16,
  },
  {
    name: 'ext4, bigalloc, 1 KiB',
    sizeMib: 96,
    options: ['-t', 'ext4', ...small, '-O', 'bigalloc', '-C', '4096', '-N', '4096'],
  },
  {
    name: 'ext4, bigalloc, uninit_bg',
    sizeMib: 160,
    options: ['-t', 'ext4', ...large, '-O', 'bigalloc,^metadata_csum,uninit_bg', '-C', '32768', '-g', '512'],
  },
  { name: 'ext4, 64 KiB', sizeMib: 160, options: ['-t', 'ext4', '-b', '65536', '-g', '512'] },
  { name: 'ext4, 16 KiB', sizeMib: 120, options: ['-t', 'ext4', '-b', '16384', '-g', '1024'] },
];

export function extVariant(name: string): ExtVariant {
  const found = extVariants.find((variant) => variant.name === name);
  if (found === undefined) throw new Error(`no such variant: ${name}`);
  return found;
}

/**
 * Makes a file full of garbage and the file system over it. Writes files, deletes some and writes others, so that the
 * bitmaps are as fragmented as those of a used guest. e2fsck finds it clean.
 */
export function makeExtImage(path: string, variant: ExtVariant): void {
  makeGarbageFile(path, variant.sizeMib * MIB + (variant.tailSectors ?? 0) * 512);
  using content = scratchDirectory();
  const fileCount = 60;
  makeContent(content.path, fileCount, variant.sizeMib);
  runTool('mke2fs', [
    '-q',
    '-F',
    '-E',
    'nodiscard',
    '-L',
    'guest root',
    '-d',
    content.path,
    ...variant.options,
    path,
  ]);
  writeFileSync(join(content.path, 'late'), seededBytes(99, 700_001));
  const commands = [];
  for (let index = 0; index < fileCount; index += 2) commands.push(`rm /etc/file-${index}`);
  commands.push(`write ${join(content.path, 'late')} /late`, 'rm /big-1', 'mkdir /var', 'quit');
  runTool('debugfs', ['-w', '-f', '-', path], `${commands.join('\n')}\n`);
  runTool('e2fsck', ['-fn', path]);
}

function makeContent(directory: string, fileCount: number, sizeMib: number): void {
  mkdirSync(join(directory, 'etc'));
  for (let index = 0; index < fileCount; index++)
    writeFileSync(join(directory, 'etc', `file-${index}`), seededBytes(index + 1, (index * 7919) % 50_000));
  // two large ones that reach over block groups
  for (const index of [0, 1])
    writeFileSync(
      join(directory, `big-${index}`),
      seededBytes(1000 + index, Math.floor((sizeMib * MIB) / 12)),
    );
}

/**
 * The free blocks that dumpe2fs(8) lists, as extents in bytes of the image. `offset` is the start of the file system in
 * the image.
 */
export function freeExtentsByDumpe2fs(path: string, offset = 0): Extent[] {
  const target = offset === 0 ? path : `${path}?offset=${offset}`;
  const listing = runTool('dumpe2fs', [target]);
  const number = (label: string): number => Number(new RegExp(`^${label}: +(\\d+)`, 'm').exec(listing)?.[1]);
  const blockBytes = number('Block size');
  // with bigalloc it names the first block of each free cluster
  const step = (number('Cluster size') || blockBytes) / blockBytes;
  const blockCount = number('Block count');
  const extents: Extent[] = [];
  for (const [, list = ''] of listing.matchAll(/^ +Free blocks: (.+)$/gm)) {
    for (const range of list.split(', ')) {
      const [first = 0, last = first] = range.split('-').map(Number);
      const end = Math.min(last + step, blockCount);
      extents.push({ offset: offset + first * blockBytes, length: (end - first) * blockBytes });
    }
  }
  return extents;
}

/** The size of the file system that starts the image; the image may be larger. */
export function extSizeBytes(path: string): number {
  const listing = runTool('dumpe2fs', ['-h', path]);
  const number = (label: string): number => Number(new RegExp(`^${label}: +(\\d+)`, 'm').exec(listing)?.[1]);
  return number('Block count') * number('Block size');
}

/** Copies only these extents of the image; all the rest of the copy is a hole. */
export function copyExtents(from: string, to: string, sizeBytes: number, extents: Iterable<Extent>): void {
  makeSparseFile(to, sizeBytes);
  const source = openSync(from, 'r');
  const target = openSync(to, 'r+');
  const buffer = Buffer.alloc(4 * MIB);
  for (const { offset, length } of extents) {
    for (let done = 0; done < length;) {
      const count = readSync(source, buffer, 0, Math.min(buffer.length, length - done), offset + done);
      if (count === 0) throw new Error(`${from} ends at ${offset + done}`);
      writeSync(target, buffer, 0, count, offset + done);
      done += count;
    }
  }
  closeSync(source);
  closeSync(target);
}

/** Path and SHA-256 of each file in the file system, read by debugfs(8). */
export function filesInExt(path: string, offset = 0): Map<string, string> {
  using dump = scratchDirectory();
  const target = offset === 0 ? path : `${path}?offset=${offset}`;
  runTool('debugfs', ['-R', `rdump / ${dump.path}`, target]);
  const files = new Map<string, string>();
  for (const entry of readdirSync(dump.path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(file.slice(dump.path.length), createHash('sha256').update(readFileSync(file)).digest('hex'));
  }
  return files;
}

/** Sets fields of the superblock by name, as debugfs(8) knows them; checksums are kept right. */
export function setSuperblockFields(path: string, fields: Readonly<Record<string, string>>): void {
  const commands = Object.entries(fields).map(([name, value]) => `set_super_value ${name} ${value}`);
  runTool('debugfs', ['-w', '-f', '-', path], `${commands.join('\n')}\n`);
}

/** Turns features on or (`^name`) off, even if this breaks the file system. */
export function setFeatures(path: string, ...features: string[]): void {
  runTool('debugfs', ['-w', '-R', `feature ${features.join(' ')}`, path]);
}

/** Overwrites bytes of a file in place. */
export function patchFile(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

export interface DiskPartition {
  offset: number;
  length: number;
}

/** Makes a disk with the partition table of this sfdisk(8) script, and returns the places of the partitions. */
export function makePartitionedDisk(path: string, sizeMib: number, script: string): DiskPartition[] {
  makeSparseFile(path, sizeMib * MIB);
  runTool('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', path], script);
  const { partitiontable } = JSON.parse(runTool('sfdisk', ['--json', path])) as {
    partitiontable: { partitions?: { start: number; size: number; type: string }[] };
  };
  const isContainer = (type: string): boolean => ['5', 'f', '85'].includes(type);
  return (partitiontable.partitions ?? [])
    .filter(({ type }) => !isContainer(type))
    .map(({ start, size }) => ({ offset: start * 512, length: size * 512 }));
}

/** Writes a whole file into another file, beginning at `offset`. */
export function placeFile(from: string, into: string, offset: number): void {
  patchFile(into, offset, readFileSync(from));
}

/** Copies the image, so that a test can damage the copy. */
export function copyImage(from: string, to: string): string {
  copyFileSync(from, to);
  return to;
}

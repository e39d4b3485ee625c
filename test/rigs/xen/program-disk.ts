import { cp, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { succeed } from '../base/command.ts';
import { PROGRAM_DISK_BYTES } from './machine.ts';

const project = join(import.meta.dirname, '../../..');

/** Writes an image of a file system with vmferry as it was built last, and the packages that it needs. */
export async function makeProgramDisk(path: string): Promise<void> {
  const tree = await mkdtemp(join(tmpdir(), 'vmferry-program-'));
  try {
    const listing = await succeed('npm', ['ls', '--prefix', project, '--omit=dev', '--all', '--parseable']);
    const packages = listing.split('\n').filter((directory) => directory.includes('/node_modules/'));
    for (const directory of [
      ...packages,
      ...['bin', 'dist', 'package.json'].map((name) => join(project, name)),
    ])
      await cp(directory, join(tree, relative(project, directory)), { recursive: true });
    await makeBlankDisk(path, PROGRAM_DISK_BYTES);
    await succeed('mke2fs', [
      '-qF',
      '-t',
      'ext4',
      '-O',
      '^has_journal',
      '-E',
      'root_owner=0:0',
      '-d',
      tree,
      path,
    ]);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

export async function makeBlankDisk(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, '');
  await truncate(path, sizeBytes);
}

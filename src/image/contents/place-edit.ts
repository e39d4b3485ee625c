import { open } from 'node:fs/promises';
import { Failure } from '../../failure.ts';
import { imageOf, lastLine, type Debugfs } from './debugfs.ts';
import type { ExtFile } from './ext-file.ts';
import { statExtFile } from './ext-files.ts';

/* How one file gets another content. Inode flags: Linux, Documentation/filesystems/ext4/inodes.rst (i_flags). */

/** compressed, encrypted, verity, inline data: the blocks do not hold the content as it is. */
const FLAGS_WITH_OTHER_BLOCKS = 0x4 | 0x8_00 | 0x10_0000 | 0x1000_0000;
/** Blocks that even an inode without extents names directly. */
const MOST_BLOCKS = 12;

/** The blocks of a file system. */
export interface Blocks {
  blockBytes: number;
  blockCount: number;
}

/**
 * Writes the content over the file's own blocks. So the inode stays, with owner, mode, attributes and other links. Returns
 * false, and changes nothing, if the content does not fit into the blocks.
 */
export async function overwrite(
  debugfs: Debugfs,
  { inode, flags, sizeBytes }: ExtFile,
  content: Uint8Array,
  { blockBytes, blockCount }: Blocks,
): Promise<boolean> {
  const [had, needed] = [Math.ceil(sizeBytes / blockBytes), Math.ceil(content.length / blockBytes)];
  if ((flags & FLAGS_WITH_OTHER_BLOCKS) !== 0 || needed > had || had > MOST_BLOCKS || needed === 0)
    return false;
  const blocks: number[] = [];
  for (let index = 0; index < needed; index++) {
    const { stdout } = await debugfs.read(`bmap <${inode}> ${index}`);
    const block = /^\d+$/.test(stdout.trim()) ? Number(stdout) : 0;
    // A damaged file system could name a block of another partition.
    if (block === 0 || block >= blockCount) return false;
    blocks.push(block);
  }
  const { path, offset } = debugfs.place;
  const image = await open(path, 'r+');
  try {
    for (const [index, block] of blocks.entries()) {
      const part = Buffer.alloc(blockBytes);
      part.set(content.subarray(index * blockBytes, (index + 1) * blockBytes));
      await image.write(part, 0, blockBytes, offset + block * blockBytes);
    }
    await image.sync();
  } finally {
    await image.close();
  }
  const punch = needed < had ? [`punch <${inode}> ${needed}`] : [];
  const now = `@${Math.floor(Date.now() / 1000)}`;
  const fields = [`size ${content.length}`, `mtime ${now}`, `ctime ${now}`];
  await debugfs.write([...punch, ...fields.map((field) => `set_inode_field <${inode}> ${field}`)]);
  return true;
}

/** A new file. Its directories are made where they are missing. Returns those, the outermost first. */
export async function create(
  debugfs: Debugfs,
  path: string,
  content: Uint8Array,
  owner: Pick<ExtFile, 'mode' | 'uid' | 'gid'>,
): Promise<string[]> {
  const parents = path.split('/').slice(1, -1);
  const directories = parents.map((_, index) => `/${parents.slice(0, index + 1).join('/')}`);
  const made: string[] = [];
  for (const directory of directories) {
    const found = await statExtFile(debugfs, directory);
    if (found === null) made.push(directory);
    else if (found.type !== 'directory' && found.type !== 'symlink')
      throw cannotEdit(debugfs, path, `${directory} is not a directory`);
  }
  const regularFile = 0o100000;
  const mode = `0${(regularFile | owner.mode).toString(8)}`;
  const { stderr } = await debugfs.write([
    ...made.map((directory) => `mkdir ${directory}`),
    `write ${await debugfs.lay(content)} ${path}`,
    ...[`mode ${mode}`, `uid ${owner.uid}`, `gid ${owner.gid}`].map(
      (field) => `set_inode_field ${path} ${field}`,
    ),
  ]);
  if ((await statExtFile(debugfs, path)) === null) throw cannotEdit(debugfs, path, lastLine(stderr));
  return made;
}

/** Removes a file; if another content is to take its place, only if nothing but the content would be lost. */
export async function remove(
  debugfs: Debugfs,
  path: string,
  file: ExtFile,
  isReplaced: boolean,
): Promise<void> {
  if (file.links !== 1) throw cannotEdit(debugfs, path, 'it has several names (hard links)');
  if (isReplaced) {
    const { stdout } = await debugfs.read(`ea_list <${file.inode}>`);
    // "system.data" is the content of a file without blocks.
    const attributes = stdout
      .split('\n')
      .filter((line) => /^ +\S+ \(/.test(line) && !line.includes('system.data'));
    if (attributes.length > 0)
      throw cannotEdit(
        debugfs,
        path,
        'it has extended attributes, and the change does not fit into its blocks',
      );
  }
  await debugfs.write([`rm ${path}`]);
}

export function cannotEdit({ place }: Debugfs, path: string, reason: string): Failure {
  return new Failure('write-failed', `${path} in ${imageOf(place)} cannot be changed: ${reason}.`, {
    advice: 'Change it by hand in the guest, and let vmferry leave the guest as it is (--no-fixups).',
  });
}

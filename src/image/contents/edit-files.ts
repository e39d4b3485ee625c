import { open } from 'node:fs/promises';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { Doubt } from '../file-systems/doubt.ts';
import { readFeatures } from '../file-systems/ext/features.ts';
import {
  hasExtMagic,
  readExtIdentity,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_OFFSET,
} from '../file-systems/ext/identity.ts';
import { Debugfs, imageOf, type ExtPlace } from './debugfs.ts';
import { isPlainPath, readExtFile, statExtFile } from './ext-files.ts';
import type { FileEdit } from './file-edit.ts';
import { cannotEdit, create, overwrite, remove, type Blocks } from './place-edit.ts';
import { onWritableDisk, type EditPlace } from './writable-disk.ts';

/** An edit that was made: plain JSON, with all that its reverse needs. */
export interface AppliedEdit extends FileEdit {
  /** Directories that were made for it, the outermost first. */
  madeDirectories: readonly string[];
}

/**
 * Changes files in an ext2, ext3 or ext4 file system that is clean, not mounted, and exclusively ours. Owner, mode and
 * attributes stay. Each file must be as its edit says it was before, or as it is to be; it is read back and compared.
 * Throws Failure `write-failed`; the edits before the failed one remain then: `made` has them.
 */
export async function applyEdits(
  place: EditPlace,
  edits: readonly FileEdit[],
  { signal }: Pick<Context, 'signal'>,
  made: AppliedEdit[] = [],
): Promise<AppliedEdit[]> {
  if (edits.length === 0) return made;
  return onWritableDisk(place, async (disk) => {
    const blocks = await requireClean(disk);
    await using debugfs = await Debugfs.open(disk, signal);
    for (const edit of edits) made.push({ ...edit, madeDirectories: await applyEdit(debugfs, edit, blocks) });
    return made;
  });
}

/**
 * Puts back what was there before the edits. A file that has changed since is left as it is. Returns the paths of
 * those. Throws Failure `write-failed`.
 */
export async function revertEdits(
  place: EditPlace,
  applied: readonly AppliedEdit[],
  { signal }: Pick<Context, 'signal'>,
): Promise<string[]> {
  if (applied.length === 0) return [];
  return onWritableDisk(place, async (disk) => {
    const blocks = await requireClean(disk);
    await using debugfs = await Debugfs.open(disk, signal);
    const left: string[] = [];
    for (const { path, before, after, madeDirectories } of applied.toReversed()) {
      if ((await readExtFile(debugfs, path)) !== after) {
        left.push(path);
        continue;
      }
      await applyEdit(debugfs, { path, before: after, after: before }, blocks);
      // debugfs removes only empty ones.
      if (madeDirectories.length > 0)
        await debugfs.write(madeDirectories.toReversed().map((directory) => `rmdir ${directory}`));
    }
    return left;
  });
}

async function applyEdit(
  debugfs: Debugfs,
  { path, before, after }: FileEdit,
  blocks: Blocks,
): Promise<string[]> {
  if (!isPlainPath(path)) throw cannotEdit(debugfs, path, 'its path has unusual characters');
  const file = await statExtFile(debugfs, path);
  if (file !== null && file.type !== 'regular')
    throw cannotEdit(debugfs, path, file.type === 'symlink' ? 'it is a symbolic link' : 'it is not a file');
  const found = await readExtFile(debugfs, path);
  if (found === after) return [];
  if (found !== before) throw cannotEdit(debugfs, path, 'it is not as it was when the change was planned');
  let madeDirectories: string[] = [];
  if (after === null) {
    if (file !== null) await remove(debugfs, path, file, false);
  } else {
    const content = Buffer.from(after, 'latin1');
    if (file === null)
      madeDirectories = await create(debugfs, path, content, { mode: 0o644, uid: 0, gid: 0 });
    else if (!(await overwrite(debugfs, file, content, blocks))) {
      await remove(debugfs, path, file, true);
      await create(debugfs, path, content, file);
    }
  }
  const now = await statExtFile(debugfs, path);
  const isRight = (await readExtFile(debugfs, path)) === after;
  const isOwned =
    file === null ||
    now === null ||
    (now.mode === file.mode && now.uid === file.uid && now.gid === file.gid && now.links === file.links);
  if (!isRight || !isOwned) throw cannotEdit(debugfs, path, 'what was written reads back differently');
  return madeDirectories;
}

/**
 * Why files in the file system cannot be changed, as a clause about it: a journal that must be replayed first, for
 * example. Null if they can.
 */
export async function whyNotEditable(place: ExtPlace): Promise<string | null> {
  return whyNotUsable(await readSuperblock(place));
}

/** Throws Failure `write-failed` unless the file system can be changed. */
async function requireClean(place: ExtPlace): Promise<Blocks> {
  const superblock = await readSuperblock(place);
  const reason = whyNotUsable(superblock);
  if (reason !== null)
    throw new Failure('write-failed', `The files in ${imageOf(place)} cannot be changed: ${reason}.`, {
      advice: 'Check the file system with e2fsck, or let vmferry leave the guest as it is (--no-fixups).',
    });
  return { blockBytes: 1024 * 2 ** superblock.readUInt32LE(0x18), blockCount: superblock.readUInt32LE(0x4) };
}

async function readSuperblock({ path, offset }: ExtPlace): Promise<Buffer> {
  const superblock = Buffer.alloc(SUPERBLOCK_BYTES);
  const image = await open(path, 'r');
  try {
    await image.read(superblock, 0, SUPERBLOCK_BYTES, offset + SUPERBLOCK_OFFSET);
  } finally {
    await image.close();
  }
  return superblock;
}

function whyNotUsable(superblock: Buffer): string | null {
  if (!hasExtMagic(superblock)) return 'the file system is none of ext2, ext3 and ext4';
  const { dirtyReason } = readExtIdentity(superblock);
  if (dirtyReason !== null) return dirtyReason;
  try {
    readFeatures(new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength));
    return superblock.readUInt32LE(0x18) <= 6 ? null : 'its block size is not valid';
  } catch (error) {
    if (error instanceof Doubt) return error.message;
    throw error;
  }
}

import type { Debugfs } from './debugfs.ts';
import type { ExtFile } from './ext-file.ts';
import { isPlainPath, statExtFile } from './ext-files.ts';

/** More links one after the other are taken for a loop. */
const MOST_LINKS = 16;
/** PATH_MAX of Linux. */
const MOST_TARGET_BYTES = 4096;
const MOST_PARTS = 64;

/**
 * Follows the links of a path, within the file system, as Linux does: an absolute target begins at its top, and `..` is the directory
 * above the real one. Null if there is nothing, if a link cannot be followed, or after too many links.
 */
export async function followExtLinks(
  debugfs: Debugfs,
  path: string,
): Promise<{ path: string; file: ExtFile } | null> {
  // debugfs follows links before the end of a path: most paths need one look.
  const found = await statExtFile(debugfs, path);
  if (found === null || found.type !== 'symlink') return found && { path, file: found };
  const parts = partsOf(path);
  let at = '';
  let file: ExtFile | null = null;
  for (let links = 0; ;) {
    const part = parts.shift();
    if (part === undefined) return file && { path: at, file };
    if (part === '..') at = at.slice(0, Math.max(at.lastIndexOf('/'), 0));
    const next = part === '..' ? at || '/' : `${at}/${part}`;
    file = isPlainPath(next) ? await statExtFile(debugfs, next) : null;
    if (file === null) return null;
    if (file.type !== 'symlink') {
      at = next === '/' ? '' : next;
      continue;
    }
    links += 1;
    const target = await targetOf(debugfs, file);
    if (target === null || links > MOST_LINKS) return null;
    if (target.startsWith('/')) at = '';
    parts.unshift(...partsOf(target));
    if (parts.length > MOST_PARTS) return null;
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function targetOf(debugfs: Debugfs, { inode, sizeBytes, target }: ExtFile): Promise<string | null> {
  if (target !== null || sizeBytes > MOST_TARGET_BYTES) return target;
  return (await debugfs.dump(inode)).toString('latin1', 0, sizeBytes);
}

import { posix } from 'node:path';
import type { Debugfs } from './debugfs.ts';
import type { ExtFile } from './ext-file.ts';
import { isPlainPath, statExtFile } from './ext-files.ts';

/** More links one after the other are taken for a loop. */
const MOST_LINKS = 16;

/**
 * Follows links at the end of a path, within the file system: an absolute target begins at its top. Null if there is nothing, if a
 * link cannot be followed, or after too many links.
 */
export async function followExtLinks(
  debugfs: Debugfs,
  path: string,
): Promise<{ path: string; file: ExtFile } | null> {
  let at = path;
  for (let links = 0; links <= MOST_LINKS; links++) {
    const file = await statExtFile(debugfs, at);
    if (file === null) return null;
    if (file.type !== 'symlink') return { path: at, file };
    if (file.target === null) return null;
    at = posix.resolve(posix.dirname(at), file.target);
    if (!isPlainPath(at)) return null;
  }
  return null;
}

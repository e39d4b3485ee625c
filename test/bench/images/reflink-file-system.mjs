import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { run } from '../peers/programs.mjs';

/**
 * Mounts a new XFS, for reflinks, from a sparse file. After `unmount` it stays until nobody uses it; the end of the mount
 * namespace unmounts it, too.
 */
export function mountReflinkFileSystem(file, mountPoint, sizeBytes) {
  const fd = openSync(file, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  run('mkfs.xfs', ['-q', '-m', 'reflink=1', file]);
  mkdirSync(mountPoint);
  run('mount', ['-t', 'xfs', '-o', 'loop', file, mountPoint]);
  return { unmount: () => run('umount', ['--lazy', mountPoint]) };
}

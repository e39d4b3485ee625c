import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { run } from '../peers/programs.mjs';

/**
 * Mounts a new XFS, which makes reflinks, from a sparse file. After `unmount` it lasts until nobody uses it any more; the mount
 * namespace's end unmounts it, too.
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

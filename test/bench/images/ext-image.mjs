import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../peers/programs.mjs';

/** Throws unless e2fsck finds nothing wrong with the image's file system. */
export function checkFileSystem(image) {
  run('e2fsck', ['-fn', image]);
}

/** Mounts the image by a loop device while `work` runs; `mode` is `ro` or `rw`. */
export function withMounted(image, mode, work) {
  const mountPoint = mkdtempSync(join(tmpdir(), 'vmferry-bench-mount-'));
  try {
    run('mount', ['-t', 'ext3', '-o', `loop,${mode}`, image, mountPoint]);
    try {
      return work(mountPoint);
    } finally {
      run('umount', [mountPoint]);
    }
  } finally {
    rmdirSync(mountPoint);
  }
}

/** One SHA-256 over all names in the image, with kind, mode, owner, time and content. */
export function treeDigest(image) {
  return withMounted(image, 'ro', (mountPoint) => {
    const digest = createHash('sha256');
    const names = readdirSync(mountPoint, { recursive: true }).sort();
    for (const name of names) {
      const path = join(mountPoint, name);
      const status = lstatSync(path);
      const { mode, uid, gid, nlink, size, mtimeMs } = status;
      digest.update(JSON.stringify([name, mode, uid, gid, nlink, size, mtimeMs]));
      if (status.isSymbolicLink()) digest.update(readlinkSync(path));
      if (status.isFile()) digest.update(createHash('sha256').update(readFileSync(path)).digest());
    }
    return digest.digest('hex');
  });
}

import { closeSync, constants, openSync, statSync } from 'node:fs';
import { dropPageCache } from '../../system/native.ts';

/**
 * The next read of a block device comes from the device: its guest may have written to it past the page cache of this machine.
 * Files need none of this.
 */
export function forgetCached(path: string): void {
  if (!statSync(path).isBlockDevice()) return;
  const fd = openSync(path, constants.O_RDONLY);
  try {
    // 0: to the end.
    dropPageCache(fd, 0, 0);
  } finally {
    closeSync(fd);
  }
}

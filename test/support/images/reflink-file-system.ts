import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from './loop-device.ts';
import { makeSparseFile, runTool, scratchDirectory } from './images.ts';
import { toolsMissing } from '../programs/tools.ts';

export type MountedKind = 'xfs' | 'btrfs' | 'ext4';

/** mkfs.xfs makes no file system below 300 MiB; nearly all of the file are holes. */
const usualSizeBytes = 512 * 2 ** 20;

/** Why no file system of that kind can be mounted here; null when one can. */
export function mountingMissing(kind: MountedKind): string | null {
  return toolsMissing(`mkfs.${kind}`) ?? loopDevicesMissing();
}

/** A new file system, mounted until the end of the scope; it takes only as much of the disk as is written to it. */
export function mountNew(kind: MountedKind, sizeBytes = usualSizeBytes): Disposable & { path: string } {
  const stack: Disposable[] = [];
  const dispose = () => {
    for (let last = stack.pop(); last !== undefined; last = stack.pop()) last[Symbol.dispose]();
  };
  try {
    const scratch = scratchDirectory();
    stack.push(scratch);
    const file = join(scratch.path, `${kind}.img`);
    const path = join(scratch.path, 'mounted');
    makeSparseFile(file, sizeBytes);
    mkdirSync(path);
    runTool(`mkfs.${kind}`, ['-q', file]);
    const device = attachLoopDevice(file);
    stack.push(device);
    stack.push(mountDevice(device.path, path));
    return { path, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

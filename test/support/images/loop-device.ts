import { spawnSync } from 'node:child_process';
import { runTool } from './images.ts';
import { toolsMissing } from '../programs/tools.ts';

/** Why loop devices cannot be used here; null if they can. */
export function loopDevicesMissing(): string | null {
  const missing = toolsMissing('losetup', 'mount', 'umount');
  if (missing !== null) return missing;
  if (process.getuid?.() !== 0) return 'loop devices need root';
  try {
    runTool('losetup', ['-f']);
    return null;
  } catch {
    return 'this machine has no loop devices';
  }
}

/** Attaches the file as a loop device until the end of the scope. */
export function attachLoopDevice(file: string): Disposable & { path: string } {
  const path = runTool('losetup', ['--find', '--show', file]).trim();
  return {
    path,
    [Symbol.dispose]: () => {
      runTool('losetup', ['--detach', path]);
    },
  };
}

/** Mounts the device until the end of the scope. */
export function mountDevice(device: string, directory: string): Disposable {
  runTool('mount', [device, directory]);
  return {
    [Symbol.dispose]: () => {
      const isUnmounted = spawnSync('umount', [directory]).status === 0;
      // A program that still uses it, such as a scanner of the system or an ending child, must not fail a test.
      if (!isUnmounted) runTool('umount', ['--lazy', directory]);
    },
  };
}

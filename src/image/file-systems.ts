import { ext } from './file-systems/ext/ext.ts';
import { fat } from './file-systems/fat/fat.ts';
import type { FileSystem } from './file-systems/file-system.ts';
import { ntfs } from './file-systems/ntfs/ntfs.ts';
import { swap } from './file-systems/swap/swap.ts';
import { xfs } from './file-systems/xfs/xfs.ts';

/** The file systems, and swap space, whose free blocks vmferry can leave out. */
export const fileSystems: readonly FileSystem[] = [ext, fat, ntfs, swap, xfs];

export function fileSystemOf(kind: string): FileSystem | undefined {
  return fileSystems.find(({ kinds }) => kinds.includes(kind));
}

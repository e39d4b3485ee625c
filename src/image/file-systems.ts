import { ext } from './file-systems/ext/ext.ts';
import type { FileSystem } from './file-systems/file-system.ts';

/** The file systems whose free blocks vmferry can leave out. */
export const fileSystems: readonly FileSystem[] = [ext];

export function fileSystemOf(kind: string): FileSystem | undefined {
  return fileSystems.find(({ kinds }) => kinds.includes(kind));
}

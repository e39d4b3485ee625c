import { Doubt, Unclean } from './doubt.ts';
import type { FileSystemUsage } from './file-system.ts';

/** The answer of `FileSystem.checkUsage`, by a check that returns the bytes in use, or throws a Doubt. */
export function checkedUsage(check: () => number): FileSystemUsage {
  try {
    return { understood: true, usedBytes: check() };
  } catch (error) {
    if (error instanceof Doubt)
      return { understood: false, isUnclean: error instanceof Unclean, reason: error.message };
    throw error;
  }
}

import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';

/**
 * Opens an open file again with O_DIRECT; null if its file system cannot do that. Uses the descriptor, not the path:
 * another account that can write to the directory may have put another file, or a link, there.
 */
export async function openDirectAgain(handle: FileHandle): Promise<FileHandle | null> {
  try {
    return await open(`/proc/self/fd/${handle.fd}`, constants.O_RDWR | constants.O_DIRECT);
  } catch (error) {
    if (errorCode(error) === 'EINVAL') return null;
    throw error;
  }
}

/** Throws Failure `write-failed` when the path itself is no longer the open file. Does not follow links. */
export async function requireSameFile(handle: FileHandle, path: string): Promise<void> {
  const own = await handle.stat({ bigint: true });
  const there = await lstat(path, { bigint: true }).catch(() => null);
  if (there !== null && there.dev === own.dev && there.ino === own.ino) return;
  throw new Failure(
    'write-failed',
    `${path} is no longer the file that was written: somebody has replaced it.`,
    {
      advice:
        'Find out who else writes to that directory, or choose one that only this account may write to.',
    },
  );
}

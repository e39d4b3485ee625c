import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { isNothingThere } from './directory-failure.ts';
import type { PutOptions } from './store.ts';

/** null where there is nothing; a link that leads nowhere is nothing. */
export async function statIfThere(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (isNothingThere(error)) return null;
    throw error;
  }
}

/** Makes a new file of the parts, mode 0600, and makes it durable unless told not to. */
export async function writeWhole(
  path: string,
  parts: readonly Uint8Array[],
  options: PutOptions,
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    for (const part of parts) {
      for (let done = 0; done < part.byteLength;) {
        options.signal.throwIfAborted();
        const { bytesWritten } = await file.write(part, done);
        options.onWritten?.(bytesWritten);
        done += bytesWritten;
      }
    }
    if (options.durable !== false) await file.sync();
  } finally {
    await file.close();
  }
}

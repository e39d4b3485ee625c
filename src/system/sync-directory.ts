import { open } from 'node:fs/promises';

/** Makes the creation, renaming and removal of files in the directory survive a loss of power. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

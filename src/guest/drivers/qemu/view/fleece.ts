import { open, chown, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';

/**
 * Makes the file that takes what the guest overwrites while its disk is read: as long as the disk, and empty. It lies
 * beside the image, where there is room for a disk, under a name that vmferry gives to such files.
 */
export async function makeFleece(
  image: string,
  sizeBytes: number,
  id: string,
  owner: { uid: number; gid: number },
): Promise<string> {
  const directory = image.startsWith('/dev/') ? tmpdir() : dirname(image);
  const path = join(directory, `.${basename(image).slice(0, 150)}.vmferry-${id}.view`);
  const file: FileHandle = await open(path, 'wx', 0o600);
  try {
    await file.truncate(sizeBytes);
    if (process.geteuid?.() === 0) await chown(path, owner.uid, owner.gid);
    return path;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

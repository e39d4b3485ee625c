import type { Stats } from 'node:fs';
import { constants, lstat, mkdir, open, type FileHandle } from 'node:fs/promises';
import { syncDirectory } from '../../system/sync-directory.ts';
import { isNothingThere, systemErrorCode } from '../system-failure.ts';
import { strangeEntry } from '../strange-entry.ts';
import { FOLDER_MODE } from '../store.ts';

/** O_PATH, which Node does not name. It suffices to reach files in a folder, and needs no permission to list it. */
const O_PATH = 0o10000000;
const FOLDER_FLAGS = O_PATH | constants.O_DIRECTORY;

/**
 * A folder of a store, held open: operations through it stay in this folder, whatever is put at its path meanwhile.
 * `/proc/self/fd/N/NAME` does what `openat` does in C.
 */
export class OpenFolder {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Opens a folder of the store. The store's own directory may be a link, because the user has named it. A link below it is Failure
   * `store-damaged`. Throws ENOENT or ENOTDIR if there is no such folder.
   * @param name `''`: the store's own directory
   * @param make makes missing folders, but not the store's own directory
   */
  static async open(location: string, name: string, make = false): Promise<OpenFolder> {
    let folder = new OpenFolder(await open(location, FOLDER_FLAGS));
    const parts = name === '' ? [] : name.split('/');
    for (const [depth, part] of parts.entries()) {
      try {
        const next = await folder.#folder(part, make);
        if (next === null)
          throw strangeEntry(location, parts.slice(0, depth + 1).join('/'), 'a symbolic link');
        await folder.close();
        folder = next;
      } catch (error) {
        await folder.close();
        throw error;
      }
    }
    return folder;
  }

  /** The path of this folder. */
  get path(): string {
    return `/proc/self/fd/${this.#handle.fd}`;
  }

  /** The path of a name in this folder; the name has no `/`. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** null if nothing has that name. Links are not followed. */
  async stats(name: string): Promise<Stats | null> {
    return lstat(this.at(name)).catch((error: unknown) => {
      if (isNothingThere(error)) return null;
      throw error;
    });
  }

  async sync(): Promise<void> {
    await syncDirectory(this.path);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** A folder directly in this one; null for a link. */
  async #folder(name: string, make: boolean): Promise<OpenFolder | null> {
    try {
      return new OpenFolder(await open(this.at(name), FOLDER_FLAGS | constants.O_NOFOLLOW));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOTDIR' && (await this.stats(name))?.isSymbolicLink() === true)
        return null;
      if (!make || systemErrorCode(error) !== 'ENOENT') throw error;
    }
    await mkdir(this.at(name), { mode: FOLDER_MODE }).catch((error: unknown) => {
      // Another process has made it.
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    });
    // Make the new name durable.
    await this.sync();
    return this.#folder(name, false);
  }
}

/** The kind of something that is not an ordinary file, in words. */
export function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a folder where a file should be';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

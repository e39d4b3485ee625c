import type { Stats } from 'node:fs';
import { constants, lstat, mkdir, open, type FileHandle } from 'node:fs/promises';
import { syncDirectory } from '../../system/sync-directory.ts';
import { isNothingThere, systemErrorCode } from '../system-failure.ts';
import { strangeEntry } from '../strange-entry.ts';
import { FOLDER_MODE } from '../store.ts';

/** O_PATH, which Node has no name for: enough to reach what is in a folder, and it needs no right to list it. */
const O_PATH = 0o10000000;
const FOLDER_FLAGS = O_PATH | constants.O_DIRECTORY;

/**
 * A folder of a store, held open. Whatever is put in place of its path meanwhile, what is done through it is done in this folder:
 * `/proc/self/fd/N/NAME` is what `openat` is for programs that have it.
 */
export class OpenFolder {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Opens a folder of the store. The store's own directory may be a link, for a person has named it; none below it may be: Failure
   * `store-damaged`. Throws ENOENT or ENOTDIR where there is no such folder.
   * @param name `''`: the store's own directory
   * @param make makes the folders that are missing, but not the store's own
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

  /** The path of what has this name in it, with no `/` in it. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** null where there is nothing of that name; links are not followed. */
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
      // somebody else made it
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    });
    // what is new lasts when the folder above it is on the disk
    await this.sync();
    return this.#folder(name, false);
  }
}

/** What something is that is no ordinary file, in words. */
export function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a folder where a file should be';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

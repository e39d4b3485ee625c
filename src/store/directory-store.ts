import { mkdir, open, readdir, rename, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import { syncDirectory } from '../system/sync-directory.ts';
import { nameIfFree, statIfThere, writeWhole } from './directory-file.ts';
import {
  explainSystemError,
  isNothingThere,
  systemErrorCode,
  type DirectoryAccess,
} from './directory-failure.ts';
import { makeFoldersOf } from './directory-folders.ts';
import { checkStoreName, isTemporaryName, temporaryNameFor } from './store-name.ts';
import type { ByteRange, PlacedStore, PutOptions, StoreEntry } from './store.ts';

const READ_BYTES = 1 << 20;
/** Also where the end of a file should be: it may have grown. */
const LEAST_READ_BYTES = 512;
const STATS_AT_ONCE = 32;

/** A store in a directory of this machine. */
export function openDirectoryStore(directory: string): PlacedStore {
  return new DirectoryStore(directory);
}

class DirectoryStore implements PlacedStore {
  readonly location: string;
  readonly shortcomings: readonly string[] = [];

  constructor(directory: string) {
    this.location = directory;
  }

  async exists(signal: AbortSignal): Promise<boolean> {
    return this.#explaining(
      signal,
      async () => (await statIfThere(this.location))?.isDirectory() === true,
      'read',
    );
  }

  async create(signal: AbortSignal): Promise<void> {
    if (await this.exists(signal)) return;
    await this.#explaining(signal, async () => {
      const above = dirname(resolve(this.location));
      try {
        await mkdir(this.location);
      } catch (error) {
        // somebody else made it
        if (await this.exists(signal)) return;
        throw isNothingThere(error) ? explainSystemError(error, above, 'write') : error;
      }
      await syncDirectory(above);
    });
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    checkStoreName(name);
    const path = join(this.location, name);
    const temporary = temporaryNameFor(path);
    await this.#explaining(options.signal, async () => {
      try {
        await this.#inFolderOf(name, () => writeWhole(temporary, parts, options));
        options.signal.throwIfAborted();
        await (options.keepExisting === true
          ? nameIfFree(temporary, path, options.signal)
          : rename(temporary, path));
        if (options.durable !== false) await syncDirectory(dirname(path));
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
    });
  }

  async *get(name: string, signal: AbortSignal, range?: ByteRange): AsyncGenerator<Uint8Array> {
    checkStoreName(name);
    signal.throwIfAborted();
    let position = range?.offset ?? 0;
    const end = range === undefined ? Number.POSITIVE_INFINITY : range.offset + range.length;
    let file: FileHandle | null = null;
    try {
      file = await open(join(this.location, name), 'r');
      // Most files of a store are small, and thousands of them are read: no more memory than they need.
      const { size } = await file.stat();
      while (position < end) {
        signal.throwIfAborted();
        const length = Math.min(READ_BYTES, end - position, Math.max(size - position, LEAST_READ_BYTES));
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, position);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        position += bytesRead;
      }
    } catch (error) {
      if (isNothingThere(error))
        throw new Failure('target-missing', `${this.location} holds nothing named ${name}.`, {
          cause: error,
        });
      throw explainSystemError(error, this.location, 'read');
    } finally {
      await file?.close();
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    checkStoreName(name);
    await this.#explaining(signal, () => rm(join(this.location, name), { force: true }));
  }

  async list(
    folder: string,
    signal: AbortSignal,
    which: 'files' | 'leftovers' = 'files',
    onSome: () => void = () => undefined,
  ): Promise<StoreEntry[]> {
    if (folder !== '') checkStoreName(folder);
    const path = join(this.location, folder);
    return this.#explaining(
      signal,
      async () => {
        const names = await readdir(path).catch((error: unknown): string[] => {
          if (isNothingThere(error)) return [];
          throw error;
        });
        const wanted = names.filter((name) => isTemporaryName(name) === (which === 'leftovers'));
        const entries: StoreEntry[] = [];
        const found = mapOrdered(wanted, STATS_AT_ONCE, async (name) => ({
          name,
          stats: await statIfThere(join(path, name)),
        }));
        for await (const { name, stats } of found) {
          signal.throwIfAborted();
          onSome();
          if (stats === null) continue;
          entries.push({
            name,
            isFolder: stats.isDirectory(),
            sizeBytes: stats.size,
            modifiedMs: Math.floor(stats.mtimeMs),
          });
        }
        return entries;
      },
      'read',
    );
  }

  async rename(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    checkStoreName(from);
    checkStoreName(to);
    const [fromPath, toPath] = [join(this.location, from), join(this.location, to)];
    return this.#explaining(signal, async () => {
      try {
        await this.#inFolderOf(to, () => rename(fromPath, toPath));
      } catch (error) {
        if (isNothingThere(error) && (await statIfThere(fromPath)) === null) return false;
        throw error;
      }
      await syncDirectory(dirname(toPath));
      await syncDirectory(dirname(fromPath)).catch((error: unknown) => {
        // somebody else found it empty
        if (!isNothingThere(error)) throw error;
      });
      return true;
    });
  }

  async removeFolder(folder: string, signal: AbortSignal): Promise<void> {
    checkStoreName(folder);
    await this.#explaining(signal, async () => {
      try {
        await rmdir(join(this.location, folder));
      } catch (error) {
        const isLeft = ['ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '');
        if (!isLeft && !isNothingThere(error)) throw error;
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** Does the work; where the folder of the name is missing, makes it (within the store) and tries again. */
  async #inFolderOf<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
    await makeFoldersOf(this.location, name);
    return work();
  }

  async #explaining<Result>(
    signal: AbortSignal,
    work: () => Promise<Result>,
    access: DirectoryAccess = 'write',
  ): Promise<Result> {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      throw explainSystemError(error, this.location, access);
    }
  }
}

import { mkdir, readdir, rename, rm, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { syncDirectory } from '../../system/sync-directory.ts';
import { nameIfFree, openOrdinary, writeWhole } from './file.ts';
import {
  explainSystemError,
  isNothingThere,
  systemErrorCode,
  type DirectoryAccess,
} from '../system-failure.ts';
import { kindOf, OpenFolder } from './folder.ts';
import { checkStoreName, isTemporaryName, splitName, temporaryNameFor } from '../store-name.ts';
import { FOLDER_MODE, type ByteRange, type PlacedStore, type PutOptions, type StoreEntry } from '../store.ts';
import { strangeEntry } from '../strange-entry.ts';

const READ_BYTES = 1 << 20;
/** Read at least this much even at the expected end of a file: it may have grown. */
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
      async () => {
        try {
          return (await stat(this.location)).isDirectory();
        } catch (error) {
          if (isNothingThere(error)) return false;
          throw error;
        }
      },
      'read',
    );
  }

  async create(signal: AbortSignal): Promise<void> {
    if (await this.exists(signal)) return;
    await this.#explaining(signal, async () => {
      const above = dirname(resolve(this.location));
      try {
        await mkdir(this.location, { mode: FOLDER_MODE });
      } catch (error) {
        // Another process has made it.
        if (await this.exists(signal)) return;
        throw isNothingThere(error) ? explainSystemError(error, above, 'write') : error;
      }
      await syncDirectory(above);
    });
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    checkStoreName(name);
    const { folder: inFolder, base } = splitName(name);
    const temporary = temporaryNameFor(base);
    await this.#explaining(options.signal, () =>
      this.#makingFolder(inFolder, async (folder) => {
        await this.#isOrdinary(folder, name);
        try {
          await writeWhole(folder.at(temporary), parts, options);
          options.signal.throwIfAborted();
          await (options.keepExisting === true
            ? nameIfFree(folder.at(temporary), folder.at(base), options.signal)
            : rename(folder.at(temporary), folder.at(base)));
          if (options.durable !== false) await folder.sync();
        } catch (error) {
          await rm(folder.at(temporary), { force: true }).catch(() => undefined);
          throw error;
        }
      }),
    );
  }

  async *get(name: string, signal: AbortSignal, range?: ByteRange): AsyncGenerator<Uint8Array> {
    checkStoreName(name);
    signal.throwIfAborted();
    let position = range?.offset ?? 0;
    const end = range === undefined ? Number.POSITIVE_INFINITY : range.offset + range.length;
    let file: FileHandle | null = null;
    try {
      const opened = await this.#openFile(name);
      file = opened.file;
      // Thousands of small files are read: allocate no more memory than each needs.
      const size = opened.sizeBytes;
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
        throw new Failure('target-missing', `${this.location} has no file ${name}.`, {
          cause: error,
        });
      throw explainSystemError(error, this.location, 'read');
    } finally {
      await file?.close();
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    checkStoreName(name);
    const { folder: inFolder, base } = splitName(name);
    await this.#explaining(signal, () =>
      this.#inFolder(inFolder, undefined, async (folder) => {
        if (!(await this.#isOrdinary(folder, name))) return;
        await unlink(folder.at(base)).catch(unlessGone);
      }),
    );
  }

  async list(
    name: string,
    signal: AbortSignal,
    which: 'files' | 'leftovers' = 'files',
    onSome: () => void = () => undefined,
  ): Promise<StoreEntry[]> {
    if (name !== '') checkStoreName(name);
    return this.#explaining(
      signal,
      () =>
        this.#inFolder(name, [], async (folder) => {
          const names = await readdir(folder.path);
          const wanted = names.filter((each) => isTemporaryName(each) === (which === 'leftovers'));
          const entries: StoreEntry[] = [];
          const found = mapOrdered(wanted, STATS_AT_ONCE, async (each) => ({
            name: each,
            stats: await folder.stats(each),
          }));
          for await (const { name: each, stats } of found) {
            signal.throwIfAborted();
            onSome();
            if (stats === null) continue;
            const isFolder = stats.isDirectory();
            entries.push({
              name: each,
              isFolder,
              ...(isFolder || stats.isFile() ? {} : { isStrange: true }),
              sizeBytes: stats.size,
              modifiedMs: Math.floor(stats.mtimeMs),
            });
          }
          return entries;
        }),
      'read',
    );
  }

  async rename(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    checkStoreName(from);
    checkStoreName(to);
    const [source, target] = [splitName(from), splitName(to)];
    return this.#explaining(signal, () =>
      this.#inFolder(source.folder, false, async (fromFolder) => {
        if (!(await this.#isOrdinary(fromFolder, from))) return false;
        return this.#makingFolder(target.folder, async (toFolder) => {
          try {
            await rename(fromFolder.at(source.base), toFolder.at(target.base));
          } catch (error) {
            // Another process has moved it already.
            if (isNothingThere(error) && (await fromFolder.stats(source.base)) === null) return false;
            throw error;
          }
          await toFolder.sync();
          await fromFolder.sync();
          return true;
        });
      }),
    );
  }

  async removeFolder(name: string, signal: AbortSignal): Promise<void> {
    checkStoreName(name);
    const { folder: inFolder, base } = splitName(name);
    await this.#explaining(signal, () =>
      this.#inFolder(inFolder, undefined, async (folder) => {
        await rmdir(folder.at(base)).catch((error: unknown) => {
          const isLeft = ['ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '');
          if (!isLeft) unlessGone(error);
        });
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** Does the work in a folder, or returns `nothing` if there is no such folder. */
  async #inFolder<Result>(
    name: string,
    nothing: Result,
    work: (folder: OpenFolder) => Promise<Result>,
  ): Promise<Result> {
    let folder: OpenFolder;
    try {
      folder = await OpenFolder.open(this.location, name);
    } catch (error) {
      if (isNothingThere(error)) return nothing;
      throw error;
    }
    try {
      return await work(folder);
    } finally {
      await folder.close();
    }
  }

  /** Does the work in a folder of the store. Makes the folder if it is missing, and again if it is removed meanwhile. */
  async #makingFolder<Result>(name: string, work: (folder: OpenFolder) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const folder = await OpenFolder.open(this.location, name, true);
      try {
        return await work(folder);
      } catch (error) {
        if (attempt > 1 || systemErrorCode(error) !== 'ENOENT') throw error;
      } finally {
        await folder.close();
      }
    }
  }

  /** False if nothing has that name. Throws Failure `store-damaged` for anything but an ordinary file. */
  async #isOrdinary(folder: OpenFolder, name: string): Promise<boolean> {
    const stats = await folder.stats(splitName(name).base);
    if (stats !== null && !stats.isFile()) throw strangeEntry(this.location, name, kindOf(stats));
    return stats !== null;
  }

  async #openFile(name: string): Promise<{ file: FileHandle; sizeBytes: number }> {
    const { folder: inFolder, base } = splitName(name);
    const folder = await OpenFolder.open(this.location, inFolder);
    try {
      const opened = await openOrdinary(folder, base);
      if ('strange' in opened) throw strangeEntry(this.location, name, opened.strange);
      return opened;
    } finally {
      await folder.close();
    }
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

/** For `catch`: ignores that something is gone already. */
function unlessGone(error: unknown): void {
  if (!isNothingThere(error)) throw error;
}

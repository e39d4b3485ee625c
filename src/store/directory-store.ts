import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../failure.ts';
import { syncDirectory } from '../system/sync-directory.ts';
import { checkStoreName, temporaryNameFor } from './store-name.ts';
import type { PutOptions, Store } from './store.ts';

const READ_BYTES = 1 << 20;

/** A store in a directory of this machine, which must exist. */
export function openDirectoryStore(directory: string): Store {
  return new DirectoryStore(directory);
}

class DirectoryStore implements Store {
  readonly location: string;

  constructor(directory: string) {
    this.location = directory;
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    checkStoreName(name);
    options.signal.throwIfAborted();
    const path = join(this.location, name);
    const temporary = temporaryNameFor(path);
    try {
      await this.#makeFolderOf(path);
      await writeWhole(temporary, parts, options);
      options.signal.throwIfAborted();
      await rename(temporary, path);
      if (options.durable !== false) await syncDirectory(dirname(path));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw this.#explain(error);
    }
  }

  async *get(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    checkStoreName(name);
    signal.throwIfAborted();
    let file: FileHandle | null = null;
    try {
      file = await open(join(this.location, name), 'r');
      for (;;) {
        signal.throwIfAborted();
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT')
        throw new Failure('target-missing', `${this.location} holds nothing named ${name}.`, {
          cause: error,
        });
      throw this.#explain(error);
    } finally {
      await file?.close();
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    checkStoreName(name);
    signal.throwIfAborted();
    try {
      await rm(join(this.location, name), { force: true });
    } catch (error) {
      throw this.#explain(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** The folders within the store, but not the store itself. */
  async #makeFolderOf(path: string): Promise<void> {
    await stat(this.location);
    await mkdir(dirname(path), { recursive: true });
  }

  #explain(error: unknown): unknown {
    const cause = error;
    switch (errorCode(error)) {
      case 'ENOSPC':
      case 'EDQUOT':
        return new Failure('target-full', `${this.location} is full.`, {
          advice: 'Make room there, or name a directory on a larger file system.',
          cause,
        });
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        return new Failure('target-not-writable', `${this.location} may not be written to.`, {
          advice: 'Check the permissions and that its file system is not mounted read-only.',
          cause,
        });
      case 'ENOENT':
      case 'ENOTDIR':
        return new Failure('target-missing', `There is no directory ${this.location}.`, {
          advice: 'Create it, or name another one.',
          cause,
        });
      case null:
        return error;
      default:
        return new Failure('transfer-failed', `${this.location}: ${(error as Error).message}.`, { cause });
    }
  }
}

async function writeWhole(path: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
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

/** The errno's name of a system call's error; null for anything else. */
function errorCode(error: unknown): string | null {
  const { syscall, code } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : (code ?? null);
}

import { constants } from 'node:fs';
import { link, open, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { Resources } from '../../pipeline/resources.ts';
import { placeText, type FilePlace } from '../unpack/file-place.ts';
import type { FileDependencies } from '../unpack/input.ts';
import { targetExists, writeFailureOf } from '../../image/target/target-failures.ts';
import { exists, requireDirectory } from '../../image/target/target-path.ts';
import { errorCode } from '../../system/error-code.ts';
import { syncDirectory } from '../../system/sync-directory.ts';

/** Where an export writes. Disposing of it removes what was not published. */
export interface ExportOutput extends AsyncDisposable {
  /** For people. */
  path: string;
  write(bytes: Uint8Array): Promise<void>;
  /** Makes it durable, and gives it its name. */
  publish(): Promise<void>;
}

export interface OutputDependencies extends FileDependencies {
  /** Random hex digits. */
  randomHex: (digits: number) => string;
}

/** A new file, here or on another machine; standard output for null. Throws as `openOutputFile`, `openOutputStream` and `newFile`. */
export async function openOutput(
  place: FilePlace | null,
  stdout: Writable,
  { randomHex, connect }: OutputDependencies,
  context: Context,
): Promise<ExportOutput> {
  if (place === null) return openOutputStream(stdout);
  const { path, host } = place;
  if (host === null) return openOutputFile(path, randomHex(8));
  const resources = new Resources();
  try {
    const connection = resources.hold(await connect(host.destination, host, context));
    const file = resources.hold(await connection.newFile(path, context.signal));
    return {
      path: placeText(place),
      write: (bytes) => file.write(bytes),
      publish: () => file.publish(),
      [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
    };
  } catch (error) {
    await resources[Symbol.asyncDispose]();
    throw error;
  }
}

/** Bytes after which the kernel is asked to write them out, while more are written. */
const SYNC_BYTES = 64 * 2 ** 20;

/**
 * A new file: hidden and readable by its owner only until it is whole. It never replaces another. Throws Failure `target-exists`,
 * `target-missing`, `target-not-writable`, `target-full` or `write-failed`.
 * @param random keeps two exports to one name apart
 */
async function openOutputFile(path: string, random: string): Promise<ExportOutput> {
  if (await exists(path)) throw targetExists(path);
  const directory = dirname(path);
  await requireDirectory(directory);
  const partial = join(directory, `.${basename(path)}.${random}.partial`);
  let file: FileHandle;
  try {
    file = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    throw writeFailureOf(error, path);
  }
  return new OutputFile(path, partial, file);
}

class OutputFile implements ExportOutput {
  readonly path: string;
  readonly #partial: string;
  readonly #file: FileHandle;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | null = null;
  #syncFailure: Error | null = null;

  constructor(path: string, partial: string, file: FileHandle) {
    this.path = path;
    this.#partial = partial;
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;)
        done += (await this.#file.write(bytes, done, bytes.length - done)).bytesWritten;
      this.#unsyncedBytes += bytes.length;
      if (this.#syncFailure !== null) throw this.#syncFailure;
    } catch (error) {
      throw writeFailureOf(error, this.path);
    }
    if (this.#unsyncedBytes >= SYNC_BYTES && this.#syncing === null) this.#beginSync();
  }

  #beginSync(): void {
    this.#unsyncedBytes = 0;
    this.#syncing = this.#file
      .datasync()
      .catch((error: unknown) => void (this.#syncFailure ??= error as Error))
      .finally(() => void (this.#syncing = null));
  }

  async publish(): Promise<void> {
    await this.#syncing;
    try {
      if (this.#syncFailure !== null) throw this.#syncFailure;
      await this.#file.sync();
      // link(2), unlike rename(2), never replaces a file.
      await link(this.#partial, this.path);
    } catch (error) {
      throw writeFailureOf(error, this.path);
    }
    await rm(this.#partial, { force: true });
    await syncDirectory(dirname(this.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#syncing;
    await this.#file.close();
    await rm(this.#partial, { force: true });
  }
}

/** Standard output. Throws Failure `usage` if it is a terminal, `write-failed` when its reader has gone. */
function openOutputStream(stream: Writable & { isTTY?: boolean }): ExportOutput {
  if (stream.isTTY === true)
    throw new Failure('usage', 'An archive is not written to a terminal.', {
      advice:
        'Name a file with -o, or send the output somewhere: vmferry export web -o - | ssh host "cat > web.tar.zst"',
    });
  return {
    path: 'standard output',
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => {
          if (error === null || error === undefined) resolve();
          else reject(asWriteFailure(error));
        });
      }),
    publish: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function asWriteFailure(error: Error): Failure {
  const isGone = ['EPIPE', 'ERR_STREAM_DESTROYED', 'ECONNRESET'].includes(errorCode(error));
  if (isGone)
    return new Failure('write-failed', 'Whatever reads the archive from standard output has ended.', {
      advice: 'Look at what it says. Nothing was changed here.',
      cause: error,
    });
  return new Failure('write-failed', `The archive cannot be written to standard output: ${error.message}.`, {
    cause: error,
  });
}

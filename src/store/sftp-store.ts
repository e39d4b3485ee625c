import { Failure } from '../failure.ts';
import { explainRefusedWrite } from './sftp-failure.ts';
import { SftpRefusal, sftpStatus, type FileHandle, type SftpSession } from './sftp-session.ts';
import { cutIntoPieces, writeThroughWindow } from './sftp-write-window.ts';
import { checkStoreName, foldersOf, temporaryNameFor } from './store-name.ts';
import type { PutOptions, Store } from './store.ts';
import { untilAborted } from './until-aborted.ts';

const WRITES_IN_FLIGHT = 64;
const READS_IN_FLIGHT = 32;
/** How long an aborted put waits for its temporary file to be removed, behind whatever is still in flight. */
const CLEAN_UP_LIMIT_MS = 5000;

/**
 * A store in a directory of an SFTP server. Disposing it leaves the session open: that is its owner's.
 * @param directory an absolute path there
 * @param hostName how people know the server
 */
export function openSftpStore(session: SftpSession, directory: string, hostName: string): Store {
  return new SftpStore(session, directory, hostName);
}

class SftpStore implements Store {
  readonly location: string;
  readonly #session: SftpSession;
  readonly #directory: string;

  constructor(session: SftpSession, directory: string, hostName: string) {
    if (!directory.startsWith('/'))
      throw new Failure('usage', `‘${directory}’ is not an absolute path.`, {
        advice: 'Give the directory on the other machine from the root on: /…',
      });
    this.#session = session;
    this.#directory = directory.replace(/\/+$/, '');
    this.location = `${hostName}:${directory}`;
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    checkStoreName(name);
    options.signal.throwIfAborted();
    const temporaryName = temporaryNameFor(name);
    const neededBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    let handle: FileHandle | null = null;
    try {
      handle = await untilAborted(options.signal, () => this.#create(temporaryName));
      await this.#write(handle, parts, options);
      await this.#settle(handle, neededBytes, options);
      const closed = handle;
      handle = null;
      await untilAborted(options.signal, async () => {
        await this.#session.close(closed);
        await this.#session.rename(this.#path(temporaryName), this.#path(name));
        if (options.durable !== false) await this.#syncFolderOf(name);
      });
    } catch (error) {
      const failure = await this.#explain(error, neededBytes);
      await this.#discard(handle, temporaryName);
      throw failure;
    }
  }

  async *get(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    checkStoreName(name);
    signal.throwIfAborted();
    const session = this.#session;
    let handle: FileHandle | null = null;
    try {
      const opened = await session.openForReading(this.#path(name));
      handle = opened;
      const sizeBytes = await session.sizeBytes(opened);
      const waiting: Promise<Uint8Array>[] = [];
      let asked = 0;
      while (asked < sizeBytes || waiting.length > 0) {
        while (asked < sizeBytes && waiting.length < READS_IN_FLIGHT) {
          const length = Math.min(session.maxReadBytes, sizeBytes - asked);
          const reading = this.#readFully(opened, asked, length);
          // a failure is met when its turn comes; until then it must not count as unhandled
          reading.catch(() => undefined);
          waiting.push(reading);
          asked += length;
        }
        const next = waiting.shift();
        if (next !== undefined) yield await untilAborted(signal, () => next);
      }
    } catch (error) {
      throw this.#explainRead(error, name);
    } finally {
      // the answer does not matter, and a dead line must not hold up the caller
      if (handle !== null) session.close(handle).catch(() => undefined);
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    checkStoreName(name);
    try {
      await untilAborted(signal, () => this.#session.remove(this.#path(name)));
    } catch (error) {
      if (isNoSuchFile(error)) return;
      throw await this.#explain(error, 0);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  async #create(temporaryName: string): Promise<FileHandle> {
    try {
      return await this.#session.create(this.#path(temporaryName));
    } catch (error) {
      const folders = foldersOf(temporaryName);
      if (!isNoSuchFile(error) || folders.length === 0) throw error;
      // one that is there already answers with a refusal; what matters is whether the file can be made then
      for (const folder of folders)
        await this.#session.makeDirectory(this.#path(folder)).catch((refusal: unknown) => {
          if (!(refusal instanceof SftpRefusal)) throw refusal;
        });
    }
    return this.#session.create(this.#path(temporaryName));
  }

  #write(handle: FileHandle, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const pieces = cutIntoPieces(parts, this.#session.maxWriteBytes);
    return writeThroughWindow(pieces, {
      writesInFlight: WRITES_IN_FLIGHT,
      signal: options.signal,
      onWritten: options.onWritten,
      write: ({ data, offset }) => this.#session.write(handle, data, offset),
    });
  }

  /** Makes the bytes durable where asked for and offered, and sure that the server has all that it acknowledged. */
  async #settle(handle: FileHandle, expectedBytes: number, options: PutOptions): Promise<void> {
    const sync = options.durable !== false && this.#session.offers('fsync@openssh.com');
    const [sizeBytes] = await untilAborted(options.signal, () =>
      Promise.all([this.#session.sizeBytes(handle), sync ? this.#session.fsync(handle) : Promise.resolve()]),
    );
    if (sizeBytes === expectedBytes) return;
    throw new Failure(
      'transfer-failed',
      `${this.location} acknowledged ${expectedBytes} bytes, but holds ${sizeBytes} of them.`,
      { advice: 'Do not trust that server with data before its disk and its SFTP server are looked at.' },
    );
  }

  /** A rename lasts when its folder is on the disk. OpenSSH opens folders like files; other servers need not. */
  async #syncFolderOf(name: string): Promise<void> {
    if (!this.#session.offers('fsync@openssh.com')) return;
    const folder = foldersOf(name).at(-1);
    try {
      const handle = await this.#session.openForReading(
        folder === undefined ? this.#directory || '/' : this.#path(folder),
      );
      try {
        await this.#session.fsync(handle);
      } finally {
        await this.#session.close(handle);
      }
    } catch (error) {
      if (!(error instanceof SftpRefusal)) throw error;
    }
  }

  async #readFully(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = await this.#session.read(handle, bytes.subarray(filled), offset + filled);
      if (count === 0)
        throw new Failure('transfer-failed', `A file in ${this.location} became shorter while it was read.`);
      filled += count;
    }
    return bytes;
  }

  async #discard(handle: FileHandle | null, temporaryName: string): Promise<void> {
    const clear = async (): Promise<void> => {
      if (handle !== null) await this.#session.close(handle).catch(() => undefined);
      await this.#session.remove(this.#path(temporaryName)).catch(() => undefined);
    };
    const limit = AbortSignal.timeout(CLEAN_UP_LIMIT_MS);
    await untilAborted(limit, clear).catch(() => undefined);
  }

  async #explain(error: unknown, neededBytes: number): Promise<unknown> {
    if (!(error instanceof SftpRefusal)) return error;
    const room =
      error.status === sftpStatus.failure
        ? await untilAborted(AbortSignal.timeout(CLEAN_UP_LIMIT_MS), () =>
            this.#session.room(this.#directory || '/'),
          ).catch(() => null)
        : null;
    return explainRefusedWrite(error, { location: this.location, neededBytes, room });
  }

  #explainRead(error: unknown, name: string): unknown {
    if (!(error instanceof SftpRefusal)) return error;
    if (isNoSuchFile(error))
      return new Failure('target-missing', `${this.location} holds nothing named ${name}.`, { cause: error });
    return new Failure('transfer-failed', `${name} in ${this.location} cannot be read: ${error.message}.`, {
      cause: error,
    });
  }
}

function isNoSuchFile(error: unknown): boolean {
  return error instanceof SftpRefusal && error.status === sftpStatus.noSuchFile;
}

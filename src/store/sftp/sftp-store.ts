import { Failure } from '../../failure.ts';
import { Turns } from '../../pipeline/turns.ts';
import { SftpDirectory } from './directory.ts';
import { explainRefusedWrite } from './failure.ts';
import { readThroughWindow } from './read.ts';
import { ignoreRefusal, isNoSuchFile, SftpRefusal, sftpStatus } from './refusal.ts';
import { moveFile, nameIfFree, replaceFile } from './rename.ts';
import type { FileHandle, SftpSession } from './session.ts';
import { shortcomingsWithout } from './shortcomings.ts';
import { settle, shortFile, writeParts } from './write.ts';
import { checkStoreName, isTemporaryName, temporaryNameFor } from '../store-name.ts';
import type { ByteRange, PlacedStore, PutOptions, StoreEntry } from '../store.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';

/** How long an aborted put waits for the removal of its temporary file, which queues behind requests in flight. */
const CLEAN_UP_LIMIT_MS = 5000;

/**
 * A store in a directory of an SFTP server. Disposing it leaves the session open, which belongs to the caller.
 * @param directory an absolute path there
 * @param hostName of the server, for messages
 * @param port null: the one that ssh uses for this host
 * @param unsettledFolders as for SftpDirectory
 */
export function openSftpStore(
  session: SftpSession,
  directory: string,
  hostName: string,
  port: number | null,
  unsettledFolders: Set<string>,
): PlacedStore {
  return new SftpStore(session, directory, hostName, port, unsettledFolders);
}

class SftpStore implements PlacedStore {
  readonly location: string;
  readonly shortcomings: readonly string[];
  readonly #hostName: string;
  readonly #port: number | null;
  readonly #session: SftpSession;
  readonly #place: SftpDirectory;
  /** Lets files be sent one after the other. */
  readonly #turns = new Turns();

  constructor(
    session: SftpSession,
    directory: string,
    hostName: string,
    port: number | null,
    unsettledFolders: Set<string>,
  ) {
    this.#hostName = hostName;
    this.#port = port;
    this.#session = session;
    this.location = this.#locationOf(directory);
    this.#place = new SftpDirectory(session, directory, this.location, unsettledFolders);
    this.shortcomings = shortcomingsWithout((extension) => session.offers(extension), hostName);
  }

  /** Includes a given port: two servers at one address are two locations. */
  #locationOf(directory: string): string {
    if (this.#port === null) return `${this.#hostName}:${directory}`;
    const address = this.#hostName.replace(/[^@]*:[^@]*$/, '[$&]');
    return `sftp://${address}:${this.#port}${directory}`;
  }

  async exists(signal: AbortSignal): Promise<boolean> {
    return this.#reading('its directory', signal, () => this.#place.exists());
  }

  async create(signal: AbortSignal): Promise<void> {
    if (await this.exists(signal)) return;
    await this.#writing(signal, async () => {
      try {
        await this.#place.make();
      } catch (error) {
        // Another process has made it.
        if (await this.#place.exists()) return;
        const location = this.#locationOf(this.#place.folderAbove);
        throw error instanceof SftpRefusal && isNoSuchFile(error)
          ? explainRefusedWrite(error, { location, neededBytes: 0, room: null, isThere: false })
          : error;
      }
    });
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    checkStoreName(name);
    options.signal.throwIfAborted();
    const temporaryName = temporaryNameFor(name);
    const neededBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    let handle: FileHandle | null = null;
    try {
      await untilAborted(options.signal, () => this.#place.checkFile(name));
      handle = await untilAborted(options.signal, () => this.#place.createFile(temporaryName));
      await writeParts(this.#session, handle, parts, options, this.#turns);
      const sizeBytes = await settle(this.#session, handle, options);
      if (sizeBytes !== neededBytes) throw shortFile(this.location, neededBytes, sizeBytes);
      const closed = handle;
      handle = null;
      await untilAborted(options.signal, async () => {
        await this.#session.close(closed);
        await (options.keepExisting === true ? nameIfFree : replaceFile)(
          this.#session,
          this.#place.path(temporaryName),
          this.#place.path(name),
          options.signal,
        );
        if (options.durable !== false) await this.#place.syncFolder(this.#place.folderOf(name));
      });
    } catch (error) {
      const failure = await this.#explain(error, neededBytes);
      await this.#discard(handle, temporaryName);
      throw failure;
    }
  }

  async *get(name: string, signal: AbortSignal, range?: ByteRange): AsyncGenerator<Uint8Array> {
    checkStoreName(name);
    try {
      const facts = await untilAborted(signal, () => this.#place.checkFile(name));
      if (facts === null) throw this.#missing(name);
      const { sizeBytes } = facts;
      yield* readThroughWindow(this.#session, { path: this.#place.path(name), range, sizeBytes, signal });
    } catch (error) {
      throw this.#explainRead(error, name);
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    checkStoreName(name);
    await this.#writing(signal, async () => {
      if ((await this.#place.checkFile(name)) === null) return;
      await this.#session.remove(this.#place.path(name)).catch((error: unknown) => {
        if (!isNoSuchFile(error)) throw error;
      });
    });
  }

  async list(
    folder: string,
    signal: AbortSignal,
    which: 'files' | 'leftovers' = 'files',
    onSome: () => void = () => undefined,
  ): Promise<StoreEntry[]> {
    if (folder !== '') checkStoreName(folder);
    const entries = await this.#reading(folder === '' ? 'its directory' : folder, signal, () =>
      this.#place.entries(folder, signal, onSome),
    );
    return entries.filter(({ name }) => isTemporaryName(name) === (which === 'leftovers'));
  }

  async rename(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    checkStoreName(from);
    checkStoreName(to);
    return this.#writing(signal, async () => {
      const [facts] = await Promise.all([this.#place.checkFile(from), this.#place.checkFoldersOf(to)]);
      if (facts === null) return false;
      const isMoved = await moveFile(
        this.#session,
        this.#place.path(from),
        this.#place.path(to),
        () => this.#place.makeFoldersOf(to),
        signal,
      );
      if (isMoved) for (const name of [to, from]) await this.#place.syncFolder(this.#place.folderOf(name));
      return isMoved;
    });
  }

  async removeFolder(folder: string, signal: AbortSignal): Promise<void> {
    checkStoreName(folder);
    // SFTP has no status for a folder that is not empty: ignore all but missing permission.
    await this.#writing(signal, async () => {
      await this.#place.checkFoldersOf(folder);
      await this.#session.removeDirectory(this.#place.path(folder)).catch((error: unknown) => {
        if (error instanceof SftpRefusal && error.status === sftpStatus.permissionDenied) throw error;
        ignoreRefusal(error);
      });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #discard(handle: FileHandle | null, temporaryName: string): Promise<void> {
    const clear = async (): Promise<void> => {
      if (handle !== null) await this.#session.close(handle).catch(() => undefined);
      await this.#session.remove(this.#place.path(temporaryName)).catch(() => undefined);
    };
    const limit = AbortSignal.timeout(CLEAN_UP_LIMIT_MS);
    await untilAborted(limit, clear).catch(() => undefined);
  }

  async #writing<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    try {
      return await untilAborted(signal, work);
    } catch (error) {
      throw await this.#explain(error, 0);
    }
  }

  async #reading<Result>(what: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    try {
      return await untilAborted(signal, work);
    } catch (error) {
      throw this.#explainRead(error, what);
    }
  }

  async #explain(error: unknown, neededBytes: number): Promise<unknown> {
    if (!(error instanceof SftpRefusal)) return error;
    // One status stands for several reasons: ask the server about its directory.
    const ask = async <Answer>(question: () => Promise<Answer>, otherwise: Answer): Promise<Answer> =>
      untilAborted(AbortSignal.timeout(CLEAN_UP_LIMIT_MS), question).catch(() => otherwise);
    const isThere = await ask(() => this.#place.exists(), false);
    const room = await ask(
      () => this.#session.room(isThere ? this.#place.path('') : this.#place.folderAbove),
      null,
    );
    return explainRefusedWrite(error, { location: this.location, neededBytes, room, isThere });
  }

  #explainRead(error: unknown, name: string): unknown {
    if (!(error instanceof SftpRefusal)) return error;
    if (isNoSuchFile(error)) return this.#missing(name, error);
    if (error.status === sftpStatus.permissionDenied)
      return new Failure('not-permitted', `${name} in ${this.location} may not be read: permission denied.`, {
        advice: 'Give the user that logs in there the right to read it, or log in as another user.',
        cause: error,
      });
    return new Failure('transfer-failed', `${name} in ${this.location} cannot be read: ${error.message}.`, {
      cause: error,
    });
  }

  #missing(name: string, cause?: unknown): Failure {
    return new Failure('target-missing', `${this.location} has no file ${name}.`, { cause });
  }
}

import { Failure } from '../../failure.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';
import { temporaryNameFor } from '../store-name.ts';
import { explainRefusedWrite } from './failure.ts';
import { readThroughWindow } from './read.ts';
import { isNoSuchFile, SftpRefusal, sftpStatus } from './refusal.ts';
import { factsIfThere, nameIfFree } from './rename.ts';
import type { FileHandle, SftpSession } from './session.ts';
import { BYTES_IN_FLIGHT, MOST_WRITES_IN_FLIGHT } from './write.ts';

/** How long disposing waits for the removal of a file that is not whole. */
const CLEAN_UP_LIMIT_MS = 5000;

/** A file there that a person has named. Links are followed. */
export interface RemoteFile {
  /** Null if the server does not say. */
  sizeBytes: number | null;
  pieces: AsyncIterable<Uint8Array>;
}

/** Throws Failure `image-missing` or `image-unreadable`; its pieces throw `read-failed` and `connection-lost`. */
export async function openRemoteFile(
  session: SftpSession,
  path: string,
  place: string,
  signal: AbortSignal,
): Promise<RemoteFile> {
  try {
    const { kind, sizeBytes } = await untilAborted(signal, () => session.facts(path));
    if (kind === 'folder') throw new Failure('image-unreadable', `${place} is a directory, not an archive.`);
    return { sizeBytes, pieces: piecesOf(session, path, place, signal) };
  } catch (error) {
    throw explainRead(error, place);
  }
}

async function* piecesOf(
  session: SftpSession,
  path: string,
  place: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* readThroughWindow(session, { path, range: undefined, sizeBytes: null, signal });
  } catch (error) {
    throw explainRead(error, place);
  }
}

function explainRead(error: unknown, place: string): unknown {
  if (!(error instanceof SftpRefusal)) return error;
  const cause = error;
  if (isNoSuchFile(error))
    return new Failure('image-missing', `There is no archive at ${place}.`, {
      advice: 'Check the path; a relative path starts at the directory in which logins begin.',
      cause,
    });
  const reason = error.status === sftpStatus.permissionDenied ? 'permission denied' : error.message;
  return new Failure('image-unreadable', `The archive ${place} cannot be read: ${reason}.`, { cause });
}

/** A new file there, with mode 0600: under a temporary name until it is whole. It never replaces another. */
export class NewRemoteFile implements AsyncDisposable {
  readonly #session: SftpSession;
  readonly #path: string;
  readonly #partial: string;
  /** For people. */
  readonly #place: string;
  readonly #signal: AbortSignal;
  #handle: FileHandle | null;
  #sizeBytes = 0;
  /** Writes that are not acknowledged, in the order in which they were sent. */
  #waiting: Promise<void>[] = [];
  #isNamed = false;

  private constructor(
    session: SftpSession,
    names: { path: string; partial: string; place: string },
    handle: FileHandle,
    signal: AbortSignal,
  ) {
    this.#session = session;
    this.#path = names.path;
    this.#partial = names.partial;
    this.#place = names.place;
    this.#handle = handle;
    this.#signal = signal;
  }

  /**
   * Throws Failure `target-exists`, `target-missing` (its directory), `target-not-writable`, `target-full`, `transfer-failed` or
   * `connection-lost`, as all of its methods do.
   */
  static async open(
    session: SftpSession,
    path: string,
    place: string,
    signal: AbortSignal,
  ): Promise<NewRemoteFile> {
    const partial = temporaryNameFor(path);
    try {
      if ((await untilAborted(signal, () => factsIfThere(session, path))) !== null) throw taken(place);
      const handle = await untilAborted(signal, () => session.create(partial));
      return new NewRemoteFile(session, { path, partial, place }, handle, signal);
    } catch (error) {
      throw await explainWrite(error, session, path, place);
    }
  }

  /** Resolves when more can be written. The bytes may be used again then. */
  async write(bytes: Uint8Array): Promise<void> {
    const { maxWriteBytes, pace } = this.#session;
    const most = Math.min(MOST_WRITES_IN_FLIGHT, Math.ceil(BYTES_IN_FLIGHT / maxWriteBytes));
    await this.#working(async () => {
      for (let done = 0; done < bytes.length; done += maxWriteBytes) {
        const piece = bytes.subarray(done, done + maxWriteBytes);
        if (this.#waiting.length >= most) await this.#waiting.shift();
        if (pace !== null) await pace.wait(piece.length, this.#signal);
        const writing = this.#session.write(this.#open(), piece, this.#sizeBytes);
        // The refusal is thrown when its turn comes.
        writing.catch(() => undefined);
        this.#waiting.push(writing);
        this.#sizeBytes += piece.length;
      }
    });
  }

  /** Makes it durable if the server can, and gives it its name. */
  async publish(): Promise<void> {
    await this.#working(async () => {
      await Promise.all(this.#waiting);
      const handle = this.#open();
      const sizeBytes = await this.#session.sizeBytes(handle);
      if (sizeBytes !== this.#sizeBytes)
        throw new Failure(
          'transfer-failed',
          `${this.#place} has ${sizeBytes} bytes, and ${this.#sizeBytes} were acknowledged.`,
          {
            advice: 'Do not store data on that server before its disk and its SFTP server have been checked.',
          },
        );
      if (this.#session.offers('fsync@openssh.com')) await this.#session.fsync(handle);
      this.#handle = null;
      await this.#session.close(handle);
      this.#isNamed = await nameIfFree(this.#session, this.#partial, this.#path, this.#signal);
      if (!this.#isNamed) throw taken(this.#place);
    });
  }

  #open(): FileHandle {
    if (this.#handle === null) throw new Error(`${this.#place} is closed`);
    return this.#handle;
  }

  async #working(work: () => Promise<void>): Promise<void> {
    try {
      await untilAborted(this.#signal, work);
    } catch (error) {
      throw await explainWrite(error, this.#session, this.#path, this.#place);
    }
  }

  /** Removes it unless it is published. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isNamed) return;
    const clear = async (): Promise<void> => {
      if (this.#handle !== null) await this.#session.close(this.#handle).catch(() => undefined);
      await this.#session.remove(this.#partial).catch(() => undefined);
    };
    await untilAborted(AbortSignal.timeout(CLEAN_UP_LIMIT_MS), clear).catch(() => undefined);
  }
}

function taken(place: string): Failure {
  return new Failure('target-exists', `${place} exists already.`, {
    advice: 'It was not changed. Choose another name, or remove it there.',
  });
}

async function explainWrite(
  error: unknown,
  session: SftpSession,
  path: string,
  place: string,
): Promise<unknown> {
  if (!(error instanceof SftpRefusal)) return error;
  const directory = path.replace(/\/[^/]*$/, '') || '/';
  const ask = <Answer>(question: () => Promise<Answer>): Promise<Answer | null> =>
    untilAborted(AbortSignal.timeout(CLEAN_UP_LIMIT_MS), question).catch(() => null);
  const isThere = (await ask(() => session.facts(directory))) !== null;
  const room = await ask(() => session.room(directory));
  const location = place.replace(/\/[^/]*$/, '');
  return explainRefusedWrite(error, { location, neededBytes: 1, room, isThere });
}

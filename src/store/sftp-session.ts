import type { SFTPWrapper, Stats } from 'ssh2';
import { Failure } from '../failure.ts';

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, 7), those that are told apart here. */
export const sftpStatus = { endOfFile: 1, noSuchFile: 2, permissionDenied: 3, failure: 4 } as const;

/** A server's refusal of one request; `status` is its SFTP status code. */
export class SftpRefusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'SftpRefusal';
    this.status = status;
  }
}

/** OpenSSH's PROTOCOL document, 4.5 and following. */
export type SftpExtension =
  'posix-rename@openssh.com' | 'statvfs@openssh.com' | 'fsync@openssh.com' | 'limits@openssh.com';

/** What every server must take (filexfer-02, 3), and the largest run that OpenSSH's own takes. */
const MODEST_RUN_BYTES = 32_768;
const LARGEST_RUN_BYTES = 261_120;

/** What ssh2 knows of the server and has no public way to ask. */
interface SftpInsides {
  _extensions?: Record<string, string>;
  _maxReadLen?: number;
  _maxWriteLen?: number;
}

/** Room on the file system that a path lies on. */
export interface FileSystemRoom {
  /** For those without special rights. */
  availableBytes: number;
  availableFiles: number;
  readOnly: boolean;
}

/** `f_flag` of statvfs@openssh.com: SSH_FXE_STATVFS_ST_RDONLY. */
const STATVFS_READ_ONLY = 1;

export type FileHandle = Buffer;
type Done<Result> = (error?: Error | null, result?: Result) => void;

/**
 * SFTP requests as promises. Each settles in bounded time: with the server's answer, a SftpRefusal, or, once the
 * session is over, with the Failure that says why.
 */
export class SftpSession {
  readonly maxReadBytes: number;
  readonly maxWriteBytes: number;
  readonly #sftp: SFTPWrapper;
  readonly #extensions: Record<string, string>;
  readonly #pending = new Set<(reason: Failure) => void>();
  #over: Failure | null = null;

  constructor(sftp: SFTPWrapper, hostName: string) {
    this.#sftp = sftp;
    const insides = sftp as unknown as SftpInsides;
    this.#extensions = insides._extensions ?? {};
    const limited = this.offers('limits@openssh.com');
    this.maxReadBytes = runBytes(limited ? insides._maxReadLen : undefined);
    this.maxWriteBytes = runBytes(limited ? insides._maxWriteLen : undefined);
    sftp.on('error', (cause: Error) => {
      this.end(sessionOver(hostName, cause));
    });
    sftp.on('close', () => this.end(sessionOver(hostName)));
  }

  offers(extension: SftpExtension): boolean {
    return this.#extensions[extension] !== undefined;
  }

  /** Rejects all that is pending or comes later with this failure. */
  end(reason: Failure): void {
    this.#over ??= reason;
    for (const reject of this.#pending) reject(this.#over);
    this.#pending.clear();
  }

  /** Makes a new file, mode 0600, open for writing. */
  create(path: string): Promise<FileHandle> {
    return this.#request<FileHandle>((done) => this.#sftp.open(path, 'wx', 0o600, done));
  }

  openForReading(path: string): Promise<FileHandle> {
    return this.#request<FileHandle>((done) => this.#sftp.open(path, 'r', done));
  }

  close(handle: FileHandle): Promise<void> {
    return this.#request<void>((done) => this.#sftp.close(handle, done));
  }

  /** One write of at most `maxWriteBytes`; the data are copied before this returns. */
  write(handle: FileHandle, data: Uint8Array, offset: number): Promise<void> {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return this.#request<void>((done) =>
      this.#sftp.write(handle, bytes, 0, bytes.length, offset, (error) => done(error)),
    );
  }

  /** Reads up to `into`'s size; gives how many bytes came, 0 at the end of the file. */
  read(handle: FileHandle, into: Buffer, offset: number): Promise<number> {
    return this.#request<number>((done) =>
      this.#sftp.read(handle, into, 0, into.length, offset, (error, bytesRead) => done(error, bytesRead)),
    );
  }

  async sizeBytes(handle: FileHandle): Promise<number> {
    return (await this.#request<Stats>((done) => this.#sftp.fstat(handle, done))).size;
  }

  fsync(handle: FileHandle): Promise<void> {
    return this.#request<void>((done) => this.#sftp.ext_openssh_fsync(handle, (error) => done(error)));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.mkdir(path, done));
  }

  remove(path: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.unlink(path, done));
  }

  /** Renames, replacing what is there; not in one step on a server without posix-rename. */
  async rename(from: string, to: string): Promise<void> {
    if (this.offers('posix-rename@openssh.com')) {
      await this.#request<void>((done) => this.#sftp.ext_openssh_rename(from, to, done));
      return;
    }
    await this.remove(to).catch((error: unknown) => {
      if (!(error instanceof SftpRefusal && error.status === sftpStatus.noSuchFile)) throw error;
    });
    await this.#request<void>((done) => this.#sftp.rename(from, to, done));
  }

  /** null where the server cannot tell. */
  async room(path: string): Promise<FileSystemRoom | null> {
    if (!this.offers('statvfs@openssh.com')) return null;
    const answer = await this.#request<{
      f_frsize: number;
      f_bavail: number;
      f_favail: number;
      f_files: number;
      f_flag: number;
    }>((done) => this.#sftp.ext_openssh_statvfs(path, done));
    return {
      availableBytes: answer.f_frsize * answer.f_bavail,
      // file systems without a table of files (btrfs) report none at all
      availableFiles: answer.f_files === 0 ? Number.POSITIVE_INFINITY : answer.f_favail,
      readOnly: (answer.f_flag & STATVFS_READ_ONLY) !== 0,
    };
  }

  #request<Result>(start: (done: Done<Result>) => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#over !== null) return reject(this.#over);
      this.#pending.add(reject);
      start((error, result) => {
        this.#pending.delete(reject);
        if (error === undefined || error === null) resolve(result as Result);
        else reject(asRefusal(error));
      });
    });
  }
}

/** An error without a status is ssh2's own: the channel is gone, and the server never answered. */
function asRefusal(error: Error): Error {
  const status: unknown = (error as { code?: unknown }).code;
  if (typeof status === 'number') return new SftpRefusal(status, error.message);
  return new Failure('connection-lost', `The SFTP server did not answer: ${error.message}.`, {
    transient: true,
    cause: error,
  });
}

function sessionOver(hostName: string, cause?: Error): Failure {
  return new Failure(
    'connection-lost',
    `The SFTP session with ${hostName} ended${cause === undefined ? '' : `: ${cause.message}`}.`,
    { transient: true, cause },
  );
}

function runBytes(limit: number | undefined): number {
  if (limit === undefined || limit <= 0) return MODEST_RUN_BYTES;
  return Math.min(limit, LARGEST_RUN_BYTES);
}

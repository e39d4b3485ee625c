import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { Failure } from '../../failure.ts';
import type { Pace } from '../../pipeline/pace.ts';
import { factsOf, type FileFacts } from './attributes.ts';
import { readOffers, type SftpExtension } from './extensions.ts';
import { asRefusal, ignoreRefusal, sessionOver, sftpStatus, SftpRefusal } from './refusal.ts';

/** Far more than a store has in one folder. Bounds the memory that a server can make this side use. */
const MOST_ENTRIES = 2_000_000;

/** Free space on the file system of a path. */
export interface FileSystemRoom {
  /** For users without special rights. */
  availableBytes: number;
  availableFiles: number;
  readOnly: boolean;
}

/** An entry of a folder's listing. */
export interface FolderEntry {
  name: string;
  facts: FileFacts;
}

/** `f_flag` of statvfs@openssh.com: SSH_FXE_STATVFS_ST_RDONLY. */
const STATVFS_READ_ONLY = 1;

export type FileHandle = Buffer;
type Done<Result> = (error?: Error | null, result?: Result) => void;

/**
 * SFTP requests as promises. Each settles in bounded time: with the server's answer, an SftpRefusal, or, after the end of the
 * session, with the Failure that says why it ended.
 */
export class SftpSession {
  readonly maxReadBytes: number;
  readonly maxWriteBytes: number;
  /** Whoever reads or writes data waits for it; null: no limit. */
  readonly pace: Pace | null;
  readonly #sftp: SFTPWrapper;
  readonly #extensions: ReadonlySet<SftpExtension>;
  readonly #pending = new Set<(reason: Failure) => void>();
  #over: Failure | null = null;

  constructor(sftp: SFTPWrapper, hostName: string, pace: Pace | null) {
    this.#sftp = sftp;
    this.pace = pace;
    const { extensions, maxReadBytes, maxWriteBytes } = readOffers(sftp);
    this.#extensions = extensions;
    const mostBytes = pace?.pieceBytes ?? Number.POSITIVE_INFINITY;
    this.maxReadBytes = Math.min(maxReadBytes, mostBytes);
    this.maxWriteBytes = Math.min(maxWriteBytes, mostBytes);
    sftp.on('error', (cause: Error) => {
      this.end(sessionOver(hostName, cause));
    });
    sftp.on('close', () => this.end(sessionOver(hostName)));
  }

  offers(extension: SftpExtension): boolean {
    return this.#extensions.has(extension);
  }

  /** Rejects all pending and later requests with this failure. */
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

  /** Reads up to the size of `into`. Returns the number of bytes read; 0 at the end of the file. */
  read(handle: FileHandle, into: Buffer, offset: number): Promise<number> {
    return this.#request<number>((done) =>
      this.#sftp.read(handle, into, 0, into.length, offset, (error, bytesRead) => done(error, bytesRead)),
    );
  }

  /** The size of an open file. */
  async sizeBytes(handle: FileHandle): Promise<number> {
    const { sizeBytes } = factsOf(await this.#request<Stats>((done) => this.#sftp.fstat(handle, done)));
    if (sizeBytes !== null) return sizeBytes;
    throw new Failure('transfer-failed', 'The SFTP server does not report the sizes of files.', {
      advice: 'Use another SFTP server there, for example that of OpenSSH.',
    });
  }

  /** Follows links. */
  async facts(path: string): Promise<FileFacts> {
    return factsOf(await this.#request<Stats>((done) => this.#sftp.stat(path, done)));
  }

  /** Does not follow links. */
  async linkFacts(path: string): Promise<FileFacts> {
    return factsOf(await this.#request<Stats>((done) => this.#sftp.lstat(path, done)));
  }

  /**
   * All entries of a folder except `.` and `..`. Links are not followed.
   * @param onSome called for each part of the listing
   */
  async entries(path: string, onSome: () => void): Promise<FolderEntry[]> {
    const handle = await this.#request<FileHandle>((done) => this.#sftp.opendir(path, done));
    const entries: FolderEntry[] = [];
    try {
      while (entries.length < MOST_ENTRIES) {
        const some = await this.#nextEntries(handle);
        if (some.length === 0) return entries;
        onSome();
        for (const { filename: name, longname, attrs } of some)
          if (name !== '.' && name !== '..') entries.push({ name, facts: factsOf(attrs, longname) });
      }
    } finally {
      this.close(handle).catch(() => undefined);
    }
    throw new Failure('transfer-failed', `${path} has more than ${MOST_ENTRIES} entries.`);
  }

  /** The next part of a listing; empty at the end. */
  async #nextEntries(handle: FileHandle): Promise<FileEntryWithStats[]> {
    try {
      return await this.#request<FileEntryWithStats[]>((done) =>
        // The typings lack the options for handles.
        (this.#sftp.readdir as (...args: unknown[]) => void)(handle, { full: true }, done),
      );
    } catch (error) {
      if (error instanceof SftpRefusal && error.status === sftpStatus.endOfFile) return [];
      throw error;
    }
  }

  /** The server's absolute form of a path. `.` gives the directory in which logins begin. */
  absolutePath(path: string): Promise<string> {
    return this.#request<string>((done) => this.#sftp.realpath(path, done));
  }

  fsync(handle: FileHandle): Promise<void> {
    return this.#request<void>((done) => this.#sftp.ext_openssh_fsync(handle, (error) => done(error)));
  }

  /** Some servers ignore the mode, so set it again afterwards with `setMode`. */
  makeDirectory(path: string, mode: number): Promise<void> {
    return this.#request<void>((done) => this.#sftp.mkdir(path, { mode }, done));
  }

  /** Sets the mode of a file or a folder, if the server permits that. */
  setMode(path: string, mode: number): Promise<void> {
    return this.#request<void>((done) => this.#sftp.chmod(path, mode, done)).catch(ignoreRefusal);
  }

  remove(path: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.unlink(path, done));
  }

  /** Removes an empty folder. */
  removeDirectory(path: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.rmdir(path, done));
  }

  /** Replaces an existing file if posix-rename is offered; otherwise servers differ. */
  rename(from: string, to: string): Promise<void> {
    return this.#request<void>((done) =>
      this.offers('posix-rename@openssh.com')
        ? this.#sftp.ext_openssh_rename(from, to, done)
        : this.#sftp.rename(from, to, done),
    );
  }

  /** Renames by the protocol's own request, which should not replace an existing file; some servers do replace it. */
  renameUnreplacing(from: string, to: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.rename(from, to, done));
  }

  /** Gives a file a second name; refused if the name is taken. Needs `hardlink@openssh.com`. */
  link(path: string, newPath: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.ext_openssh_hardlink(path, newPath, done));
  }

  /** null if the server cannot tell. */
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
      // File systems without a fixed number of inodes, such as btrfs, report 0 for both.
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

import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { Failure } from '../../failure.ts';
import { factsOf, type FileFacts } from './attributes.ts';
import { readOffers, type SftpExtension } from './extensions.ts';
import { asRefusal, ignoreRefusal, sessionOver, sftpStatus, SftpRefusal } from './refusal.ts';

/** Far more than a store has in one folder; bounds what a server can make this side keep. */
const MOST_ENTRIES = 2_000_000;

/** Room on the file system that a path lies on. */
export interface FileSystemRoom {
  /** For those without special rights. */
  availableBytes: number;
  availableFiles: number;
  readOnly: boolean;
}

/** Something in a folder, as the listing has it. */
export interface FolderEntry {
  name: string;
  facts: FileFacts;
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
  readonly #extensions: ReadonlySet<SftpExtension>;
  readonly #pending = new Set<(reason: Failure) => void>();
  #over: Failure | null = null;

  constructor(sftp: SFTPWrapper, hostName: string) {
    this.#sftp = sftp;
    const { extensions, maxReadBytes, maxWriteBytes } = readOffers(sftp);
    this.#extensions = extensions;
    this.maxReadBytes = maxReadBytes;
    this.maxWriteBytes = maxWriteBytes;
    sftp.on('error', (cause: Error) => {
      this.end(sessionOver(hostName, cause));
    });
    sftp.on('close', () => this.end(sessionOver(hostName)));
  }

  offers(extension: SftpExtension): boolean {
    return this.#extensions.has(extension);
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

  /** The size of an open file. */
  async sizeBytes(handle: FileHandle): Promise<number> {
    const { sizeBytes } = factsOf(await this.#request<Stats>((done) => this.#sftp.fstat(handle, done)));
    if (sizeBytes !== null) return sizeBytes;
    throw new Failure('transfer-failed', 'The SFTP server does not tell the sizes of files.', {
      advice: 'Use another SFTP server there, OpenSSH’s for one.',
    });
  }

  /** Of what a link points to. */
  async facts(path: string): Promise<FileFacts> {
    return factsOf(await this.#request<Stats>((done) => this.#sftp.stat(path, done)));
  }

  /** Of a link itself, where it is one. */
  async linkFacts(path: string): Promise<FileFacts> {
    return factsOf(await this.#request<Stats>((done) => this.#sftp.lstat(path, done)));
  }

  /**
   * All entries of a folder but `.` and `..`, links not followed.
   * @param onSome called as they come
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

  /** None at the end. */
  async #nextEntries(handle: FileHandle): Promise<FileEntryWithStats[]> {
    try {
      return await this.#request<FileEntryWithStats[]>((done) =>
        // the typings do not have the options for handles
        (this.#sftp.readdir as (...args: unknown[]) => void)(handle, { full: true }, done),
      );
    } catch (error) {
      if (error instanceof SftpRefusal && error.status === sftpStatus.endOfFile) return [];
      throw error;
    }
  }

  /** The absolute path that the server makes of one; of `.`, where a login begins. */
  absolutePath(path: string): Promise<string> {
    return this.#request<string>((done) => this.#sftp.realpath(path, done));
  }

  fsync(handle: FileHandle): Promise<void> {
    return this.#request<void>((done) => this.#sftp.ext_openssh_fsync(handle, (error) => done(error)));
  }

  /** Some servers pass the mode over: then it is set afterwards, where they let it be. */
  async makeDirectory(path: string, mode: number): Promise<void> {
    await this.#request<void>((done) => this.#sftp.mkdir(path, { mode }, done));
    await this.#request<void>((done) => this.#sftp.chmod(path, mode, done)).catch(ignoreRefusal);
  }

  remove(path: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.unlink(path, done));
  }

  /** Removes an empty folder. */
  removeDirectory(path: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.rmdir(path, done));
  }

  /** Whether it replaces what has the second name is the server's affair, unless posix-rename is offered: then it does. */
  rename(from: string, to: string): Promise<void> {
    return this.#request<void>((done) =>
      this.offers('posix-rename@openssh.com')
        ? this.#sftp.ext_openssh_rename(from, to, done)
        : this.#sftp.rename(from, to, done),
    );
  }

  /** Renames by the protocol's own request, which refuses to replace; some servers replace all the same. */
  renameUnreplacing(from: string, to: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.rename(from, to, done));
  }

  /** A second name for a file; refused where something has it. Needs `hardlink@openssh.com`. */
  link(path: string, newPath: string): Promise<void> {
    return this.#request<void>((done) => this.#sftp.ext_openssh_hardlink(path, newPath, done));
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

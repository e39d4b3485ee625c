import { Failure } from '../failure.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import { ignoreRefusal, isNoSuchFile } from './sftp-refusal.ts';
import { factsIfThere } from './sftp-rename.ts';
import type { FileHandle, FolderEntry, SftpSession } from './sftp-session.ts';
import { foldersOf, isEntryName } from './store-name.ts';
import type { StoreEntry } from './store.ts';

const FACTS_AT_ONCE = 32;

/** A store's directory on a server, and the folders in it. Throws what the session does: SftpRefusal, Failure. */
export class SftpDirectory {
  readonly #session: SftpSession;
  readonly #directory: string;

  /** @param directory an absolute path; Failure `usage` otherwise */
  constructor(session: SftpSession, directory: string) {
    if (!directory.startsWith('/'))
      throw new Failure('usage', `‘${directory}’ is not an absolute path.`, {
        advice: 'Give the directory on the other machine from the root on: /…',
      });
    this.#session = session;
    this.#directory = directory.replace(/\/+$/, '');
  }

  /** Of a name in the store; of the store's own directory for an empty one. */
  path(name: string): string {
    return name === '' ? this.#directory || '/' : `${this.#directory}/${name}`;
  }

  /** The path of the folder that a name lies in. */
  folderOf(name: string): string {
    return this.path(foldersOf(name).at(-1) ?? '');
  }

  /** The path of the directory that the store's own lies in. */
  get folderAbove(): string {
    return this.#directory.replace(/\/[^/]*$/, '') || '/';
  }

  async exists(): Promise<boolean> {
    const facts = await factsIfThere(this.#session, this.path(''));
    return facts !== null && (facts.kind === 'folder' || facts.kind === null);
  }

  /** Makes a new file, and the folders that it lies in. */
  async createFile(name: string): Promise<FileHandle> {
    try {
      return await this.#session.create(this.path(name));
    } catch (error) {
      if (!isNoSuchFile(error) || foldersOf(name).length === 0) throw error;
      await this.makeFoldersOf(name);
    }
    return this.#session.create(this.path(name));
  }

  /** Makes the folders that the name lies in. Throws the server's refusal for one that is not there then. */
  async makeFoldersOf(name: string): Promise<void> {
    for (const folder of foldersOf(name)) await this.#makeFolder(folder);
  }

  /** A folder that is there already is refused with any status, on a read-only file system with another one. */
  async #makeFolder(folder: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#session.makeDirectory(this.path(folder));
        await this.syncFolder(this.folderOf(folder));
        return;
      } catch (error) {
        ignoreRefusal(error);
        if ((await factsIfThere(this.#session, this.path(folder))) !== null) return;
        // a prune may have removed it, empty, between the two questions
        if (attempt === 2) throw error;
      }
    }
  }

  /** A name lasts when its folder is on the disk. OpenSSH opens folders like files; other servers need not. */
  async syncFolder(path: string): Promise<void> {
    if (!this.#session.offers('fsync@openssh.com')) return;
    try {
      const handle = await this.#session.openForReading(path);
      try {
        await this.#session.fsync(handle);
      } finally {
        await this.#session.close(handle);
      }
    } catch (error) {
      ignoreRefusal(error);
    }
  }

  /** What is in a folder, links followed; nothing where there is no such folder. */
  async entries(folder: string, signal: AbortSignal, onSome: () => void): Promise<StoreEntry[]> {
    const listed = await this.#session.entries(this.path(folder), onSome).catch((error: unknown) => {
      if (isNoSuchFile(error)) return [];
      throw error;
    });
    const named = listed.filter(({ name }) => isEntryName(name));
    const entries: StoreEntry[] = [];
    for await (const entry of mapOrdered(named, FACTS_AT_ONCE, (one) => this.#entryOf(folder, one))) {
      signal.throwIfAborted();
      onSome();
      if (entry !== null) entries.push(entry);
    }
    return entries;
  }

  /** null where it is gone meanwhile, or leads nowhere. */
  async #entryOf(folder: string, { name, facts }: FolderEntry): Promise<StoreEntry | null> {
    const isEnough = facts.kind === 'folder' || (facts.kind === 'file' && facts.sizeBytes !== null);
    const path = this.path(folder === '' ? name : `${folder}/${name}`);
    const known = isEnough ? facts : await factsIfThere(this.#session, path);
    if (known === null) return null;
    return {
      name,
      isFolder: known.kind === 'folder',
      sizeBytes: known.sizeBytes ?? 0,
      modifiedMs: known.modifiedMs ?? 0,
    };
  }
}

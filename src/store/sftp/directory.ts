import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { FileFacts } from './attributes.ts';
import { ignoreRefusal, isNoSuchFile } from './refusal.ts';
import { factsIfThere } from './rename.ts';
import type { FileHandle, FolderEntry, SftpSession } from './session.ts';
import { foldersOf, isEntryName } from '../store-name.ts';
import { FOLDER_MODE, type StoreEntry } from '../store.ts';
import { strangeEntry } from '../strange-entry.ts';

const FACTS_AT_ONCE = 32;
const kindText = {
  link: 'a symbolic link',
  folder: 'a folder where a file should be',
  other: 'neither a file nor a folder',
};

/**
 * A store's directory on a server, and the folders in it. Throws what the session throws: SftpRefusal, Failure.
 *
 * SFTP has only paths: a folder cannot be held open. So every path is checked for links before an operation; somebody who may
 * change the store's folders on the server can still put a link there between check and operation (doc/store.md, Links).
 */
export class SftpDirectory {
  readonly #session: SftpSession;
  readonly #directory: string;
  readonly #location: string;
  readonly #unsettledFolders: Set<string>;

  /**
   * @param directory an absolute path; Failure `usage` otherwise
   * @param location for messages
   * @param unsettledFolders the paths of folders that an earlier connection may have made without having set their mode
   */
  constructor(session: SftpSession, directory: string, location: string, unsettledFolders: Set<string>) {
    if (!directory.startsWith('/'))
      throw new Failure('usage', `‘${directory}’ is not an absolute path.`, {
        advice: 'Give the directory on the other machine as a path that begins with /',
      });
    this.#session = session;
    this.#directory = directory.replace(/\/+$/, '');
    this.#location = location;
    this.#unsettledFolders = unsettledFolders;
  }

  /** The path of a name in the store; of the store's own directory for an empty name. */
  path(name: string): string {
    return name === '' ? this.#directory || '/' : `${this.#directory}/${name}`;
  }

  /** The path of the folder that contains a name. */
  folderOf(name: string): string {
    return this.path(foldersOf(name).at(-1) ?? '');
  }

  /** The path of the directory that contains the store's own. */
  get folderAbove(): string {
    return this.#directory.replace(/\/[^/]*$/, '') || '/';
  }

  async exists(): Promise<boolean> {
    try {
      // The store's own directory may be a link.
      const { kind } = await this.#session.facts(this.path(''));
      return kind === 'folder' || kind === null;
    } catch (error) {
      if (isNoSuchFile(error)) return false;
      throw error;
    }
  }

  /** Throws Failure `store-damaged` if one of the folders on the way to a name is a link. */
  async checkFoldersOf(name: string): Promise<void> {
    await Promise.all(foldersOf(name).map((folder) => this.#checkFolder(folder)));
  }

  /** null if nothing has that name. Throws Failure `store-damaged` for anything but an ordinary file in ordinary folders. */
  async checkFile(name: string): Promise<FileFacts | null> {
    const looking = factsIfThere(this.#session, this.path(name));
    const [facts] = await Promise.all([looking, this.checkFoldersOf(name)]);
    if (facts === null || facts.kind === 'file' || facts.kind === null) return facts;
    throw strangeEntry(this.#location, name, kindText[facts.kind]);
  }

  async #checkFolder(folder: string): Promise<void> {
    const facts = await factsIfThere(this.#session, this.path(folder));
    if (facts?.kind === 'link') throw strangeEntry(this.#location, folder, kindText.link);
  }

  /** Makes a new file, and the folders on the way to it. */
  async createFile(name: string): Promise<FileHandle> {
    try {
      return await this.#session.create(this.path(name));
    } catch (error) {
      if (!isNoSuchFile(error) || foldersOf(name).length === 0) throw error;
      await this.makeFoldersOf(name);
    }
    return this.#session.create(this.path(name));
  }

  /** Makes the folders on the way to a name. Throws the server's refusal if one is still missing afterwards. */
  async makeFoldersOf(name: string): Promise<void> {
    for (const folder of foldersOf(name)) await this.#makeFolder(folder);
  }

  /** Makes the store's own directory. Throws the server's refusal, also if it exists. */
  async make(): Promise<void> {
    await this.#makeFolderAt(this.path(''));
    await this.syncFolder(this.folderAbove);
  }

  /** Makes a folder unless it exists. Servers refuse an existing folder with various statuses. */
  async #makeFolder(folder: string): Promise<void> {
    const path = this.path(folder);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#makeFolderAt(path);
        await this.syncFolder(this.folderOf(folder));
        return;
      } catch (error) {
        ignoreRefusal(error);
        if ((await factsIfThere(this.#session, path)) !== null) return;
        // A prune may have removed the empty folder between the two requests.
        if (attempt === 2) throw error;
      }
    }
  }

  /**
   * Some servers ignore the mode of a new folder, so it is set again. If the line is cut between the two requests, the next
   * connection finds a folder that exists, and still has to set its mode.
   */
  async #makeFolderAt(path: string): Promise<void> {
    const mayBeOurs = this.#unsettledFolders.has(path);
    this.#unsettledFolders.add(path);
    try {
      await this.#session.makeDirectory(path, FOLDER_MODE);
    } catch (error) {
      ignoreRefusal(error);
      if (mayBeOurs) await this.#session.setMode(path, FOLDER_MODE);
      this.#unsettledFolders.delete(path);
      throw error;
    }
    await this.#session.setMode(path, FOLDER_MODE);
    this.#unsettledFolders.delete(path);
  }

  /** Makes the names in a folder durable. OpenSSH opens folders like files; other servers may refuse. */
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

  /** The entries of a folder, without following links; none if there is no such folder. */
  async entries(folder: string, signal: AbortSignal, onSome: () => void): Promise<StoreEntry[]> {
    const listing = this.#session.entries(this.path(folder), onSome).catch((error: unknown) => {
      if (isNoSuchFile(error)) return [];
      throw error;
    });
    const folders = folder === '' ? [] : [...foldersOf(folder), folder];
    const [listed] = await Promise.all([listing, ...folders.map((each) => this.#checkFolder(each))]);
    const named = listed.filter(({ name }) => isEntryName(name));
    const entries: StoreEntry[] = [];
    for await (const entry of mapOrdered(named, FACTS_AT_ONCE, (one) => this.#entryOf(folder, one))) {
      signal.throwIfAborted();
      onSome();
      if (entry !== null) entries.push(entry);
    }
    return entries;
  }

  /** null if it is gone by now. */
  async #entryOf(folder: string, { name, facts }: FolderEntry): Promise<StoreEntry | null> {
    const isEnough = facts.kind !== null && (facts.kind !== 'file' || facts.sizeBytes !== null);
    const path = this.path(folder === '' ? name : `${folder}/${name}`);
    const known = isEnough ? facts : await factsIfThere(this.#session, path);
    if (known === null) return null;
    return {
      name,
      isFolder: known.kind === 'folder',
      ...(known.kind === 'link' || known.kind === 'other' ? { isStrange: true } : {}),
      sizeBytes: known.sizeBytes ?? 0,
      modifiedMs: known.modifiedMs ?? 0,
    };
  }
}

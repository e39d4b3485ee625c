import { mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { run, type CommandResult } from '../../system/processes.ts';
import type { ExtFile } from './ext-file.ts';

/** No command on a file system that is intact takes this long. */
const timeoutMs = 60_000;

/** An ext2, ext3 or ext4 file system in an image whose bytes are laid out like the disk. */
export interface ExtPlace {
  path: string;
  /** Where the file system begins, in bytes. */
  offset: number;
  /** The image, for messages, where the path is that of a view of it. */
  image?: string;
}

/** The image as a person knows it. */
export function imageOf({ path, image = path }: ExtPlace): string {
  return image;
}

/**
 * Runs debugfs(8) on a file system that is not mounted. It can fail with exit status 0: check what it did. Its messages are
 * in `stderr`. Links in the image are followed within the image only.
 */
export class Debugfs implements AsyncDisposable {
  readonly place: ExtPlace;
  readonly #directory: string;
  readonly #signal: AbortSignal;

  private constructor(place: ExtPlace, directory: string, signal: AbortSignal) {
    this.place = place;
    this.#directory = directory;
    this.#signal = signal;
  }

  static async open(place: ExtPlace, signal: AbortSignal): Promise<Debugfs> {
    const directory = await mkdtemp(join(tmpdir(), 'vmferry-debugfs-'));
    // A question mark would end the name (I/O options of libext2fs).
    await symlink(resolve(place.path), join(directory, 'image'));
    return new Debugfs(place, directory, signal);
  }

  /** Runs one command without changing anything. Does not read the bitmaps, so it is quick. */
  read(command: string): Promise<CommandResult> {
    return this.#run(['-c', '-R', command]);
  }

  /** Runs commands that change the file system. */
  async write(commands: readonly string[]): Promise<CommandResult> {
    const script = join(this.#directory, 'commands');
    await writeFile(script, `${commands.join('\n')}\n`, { mode: 0o600 });
    return this.#run(['-w', '-f', script]);
  }

  /** The content of a file in the image, of at most the size that was checked before. */
  async dump(inode: number): Promise<Buffer> {
    const copy = join(this.#directory, 'copy');
    await rm(copy, { force: true });
    const { stderr } = await this.read(`dump <${inode}> ${quoted(copy)}`);
    return readFile(copy).catch((error: unknown) => {
      throw new Failure(
        'read-failed',
        `A file in ${imageOf(this.place)} cannot be read: ${lastLine(stderr)}.`,
        {
          cause: error,
        },
      );
    });
  }

  /**
   * Writes the content of a file in the image into a file of this machine that only this account may read. A file there is replaced.
   * Throws Failure `read-failed` if less can be read than the inode says.
   */
  async dumpTo({ inode, sizeBytes }: Pick<ExtFile, 'inode' | 'sizeBytes'>, copy: string): Promise<void> {
    await rm(copy, { force: true });
    await writeFile(copy, '', { mode: 0o600, flag: 'wx' });
    const { stderr } = await this.read(`dump <${inode}> ${quoted(copy)}`);
    if ((await stat(copy)).size < sizeBytes)
      throw new Failure(
        'read-failed',
        `A file in ${imageOf(this.place)} cannot be read: ${lastLine(stderr)}.`,
      );
    // What lies in the inode itself (inline data) comes with zero bytes at its end.
    await truncate(copy, sizeBytes);
  }

  /** Puts the content into a file of this machine, for the command `write`. Returns its name, quoted. */
  async lay(content: Uint8Array): Promise<string> {
    const file = join(this.#directory, 'content');
    await writeFile(file, content, { mode: 0o600 });
    return quoted(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #run(args: readonly string[]): Promise<CommandResult> {
    const { offset } = this.place;
    const image = imageOf(this.place);
    const device = `${join(this.#directory, 'image')}${offset === 0 ? '' : `?offset=${offset}`}`;
    // An ordinary account's PATH lacks the directory of debugfs.
    const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
    const env = {
      ...process.env,
      PATH,
      LC_ALL: 'C',
      TZ: 'UTC',
      DEBUGFS_PAGER: '__none__',
      PAGER: '__none__',
    };
    try {
      const result = await run('debugfs', [...args, device], { env, timeoutMs, signal: this.#signal });
      const isOpen = !result.stderr.includes('while trying to open');
      if (result.exitStatus !== null && isOpen) return result;
      const reason = isOpen ? 'debugfs did not finish' : lastLine(result.stderr);
      throw new Failure('read-failed', `The files in ${image} cannot be read: ${reason}.`);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      throw new Failure('read-failed', `The program debugfs, which looks into ${image}, is not installed.`, {
        advice: 'Install the package e2fsprogs.',
        cause: error,
      });
    }
  }
}

/** Quoted for debugfs: a double quote within is doubled (libss). */
function quoted(path: string): string {
  return `"${path.replaceAll('"', '""')}"`;
}

/** debugfs prints its version first. */
export function lastLine(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line));
  return lines.at(-1)?.trim().replace(/\.$/, '') ?? 'debugfs gave no reason';
}

import { hash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { packFileName } from '../../pack/pack.ts';
import { isOwn } from '../../system/file-rights.ts';
import type { OwnerClaim } from '../../wire/messages.ts';

const PREFIX = '.vmferry-spool-';

/** The directory that the mover puts packs into. */
export class Spool {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Makes a spool, and removes those that killed receivers of the same move have left. None of them lives: call it when a disk of the move is
   * open, and so locked.
   * @param directory null: there is none for all disks, and the spool is made in `otherParent`
   */
  static async make(directory: string | null, otherParent: string, owner: OwnerClaim | null): Promise<Spool> {
    const parent = directory ?? otherParent;
    if (directory === null) await mkdir(parent, { recursive: true, mode: 0o700 });
    if (owner === null) return new Spool(await mkdtemp(join(parent, PREFIX)));
    const prefix = `${PREFIX}${hash('sha256', JSON.stringify(owner), 'hex').slice(0, 16)}-`;
    for (const name of await readdir(parent))
      if (name.startsWith(prefix)) await removeOwn(join(parent, name));
    return new Spool(await mkdtemp(join(parent, prefix)));
  }

  pathOf(packId: string): string {
    return join(this.directory, packFileName(packId));
  }

  /** The paths of all files in it, also of packs that are not complete. */
  async files(): Promise<string[]> {
    return (await readdir(this.directory)).map((name) => join(this.directory, name));
  }

  async remove(): Promise<void> {
    // Retried: the SFTP server may still be writing a pack there.
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Others may have put something there under such a name. */
async function removeOwn(directory: string): Promise<void> {
  const stats = await lstat(directory);
  if (stats.isDirectory() && isOwn(stats) && (stats.mode & 0o077) === 0)
    await rm(directory, { recursive: true, force: true });
}

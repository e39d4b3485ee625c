import { hash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { packFileName } from '../../pack/pack.ts';
import { errorCode } from '../../system/error-code.ts';
import { isOwn } from '../../system/file-rights.ts';
import { writeLastWill, type LastWill } from '../../system/last-will.ts';
import type { OwnerClaim } from '../../wire/messages.ts';

const PREFIX = '.vmferry-spool-';

/** The SFTP server may still be writing a pack there. */
const REMOVE = `
# The mover is to see the end of the receiver first, and not that its directory is gone.
sleep 1
for _ in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf -- "$1" && exit
  sleep 0.1
done
`;

/** The directory that the mover puts packs into. It is removed even if this process is killed: nobody could use the packs. */
export class Spool {
  readonly directory: string;
  #lastWill: LastWill | null;

  private constructor(directory: string, lastWill: LastWill | null) {
    this.directory = directory;
    this.#lastWill = lastWill;
  }

  /**
   * Makes a spool, and removes those that killed receivers of the same move have left. None of them lives: call it when a disk of the move is
   * open, and so locked.
   * @param directory null: there is none for all disks, and the spool is made in `otherParent`
   */
  static async make(directory: string | null, otherParent: string, owner: OwnerClaim | null): Promise<Spool> {
    const parent = directory ?? otherParent;
    if (directory === null) await mkdir(parent, { recursive: true, mode: 0o700 });
    if (owner === null) return Spool.#makeIn(parent, PREFIX);
    const prefix = `${PREFIX}${hash('sha256', JSON.stringify(owner), 'hex').slice(0, 16)}-`;
    for (const name of await readdir(parent))
      if (name.startsWith(prefix)) await removeOwn(join(parent, name));
    return Spool.#makeIn(parent, prefix);
  }

  static async #makeIn(parent: string, prefix: string): Promise<Spool> {
    const directory = await mkdtemp(join(parent, prefix));
    // Without it, the next receiver of the same move removes what a killed one has left.
    const lastWill = await writeLastWill(REMOVE, [directory], process.env).catch(() => null);
    return new Spool(directory, lastWill);
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
    const lastWill = this.#lastWill;
    this.#lastWill = null;
    await lastWill?.revoke();
  }
}

/** Others may have put something there under such a name. */
async function removeOwn(directory: string): Promise<void> {
  const stats = await lstat(directory).catch((error: unknown) => {
    // The last will of its receiver has removed it meanwhile.
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (stats?.isDirectory() === true && isOwn(stats) && (stats.mode & 0o077) === 0)
    await rm(directory, { recursive: true, force: true });
}

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { errorCode } from '../../system/error-code.ts';
import { writeStateFile } from '../../system/state-file.ts';

/**
 * Proofs of this machine that it has received an image. The mover that has sent the image gets one, and shows it to a later receiver,
 * which reads no other files for a mover.
 */
export class Grants {
  readonly #keyFile: string;

  /** @param keyFile where this machine keeps what no mover knows */
  constructor(keyFile: string) {
    this.#keyFile = keyFile;
  }

  /** The proof for the file that the path names now. Throws as `writeStateFile`. */
  async grant(path: string): Promise<string> {
    const key = (await this.#key()) ?? (await this.#makeKey());
    await using file = await openQuietly(path);
    return proofOf(key, path, await identityOf(file));
  }

  /** Opens the image; null if it is gone, or the proof is not for this file. */
  async open(path: string, grant: string): Promise<FileHandle | null> {
    const key = await this.#key();
    if (key === null) return null;
    const file = await openQuietly(path).catch(() => null);
    if (file === null) return null;
    const proof = proofOf(key, path, await identityOf(file));
    if (timingSafeEqual(Buffer.from(proof), Buffer.from(grant))) return file;
    await file.close();
    return null;
  }

  async #key(): Promise<string | null> {
    return readFile(this.#keyFile, 'utf8').catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    });
  }

  /** Two receivers may do so at once. The proofs of the one are void then, and its chunks are sent. */
  async #makeKey(): Promise<string> {
    const key = randomBytes(32).toString('hex');
    await writeStateFile(this.#keyFile, key, 'The key for the proofs of received images');
    return key;
  }
}

/** A FIFO in its place is not waited for. */
function openQuietly(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

async function identityOf(file: FileHandle): Promise<string> {
  const { dev, ino, rdev } = await file.stat({ bigint: true });
  return `${dev}:${ino}:${rdev}`;
}

function proofOf(key: string, path: string, identity: string): string {
  return createHmac('sha256', key).update(`${identity}\0${path}`).digest('hex');
}

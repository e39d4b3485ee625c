import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { errorCode } from '../../system/error-code.ts';
import { writeStateFile } from '../../system/state-file.ts';

/** What `#makeKey` writes. Any other text, such as none, could be guessed. */
const KEY = /^[0-9a-f]{64}$/;

interface FileIdentity {
  dev: bigint;
  ino: bigint;
  rdev: bigint;
}

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
    return proofOf(key, path, await stat(path, { bigint: true }));
  }

  /** Opens the image; null if it is gone, or the proof is not for this file. No other file is opened: to open a watchdog or a tape has effects. */
  async open(path: string, grant: string): Promise<FileHandle | null> {
    const key = await this.#key();
    if (key === null) return null;
    const isProven = (identity: FileIdentity): boolean =>
      timingSafeEqual(Buffer.from(proofOf(key, path, identity)), Buffer.from(grant));
    const found = await stat(path, { bigint: true }).catch(() => null);
    if (found === null || !isProven(found)) return null;
    const file = await openQuietly(path).catch(() => null);
    // Another file may have got the name meanwhile.
    if (file === null || isProven(await file.stat({ bigint: true }))) return file;
    await file.close();
    return null;
  }

  /** Null if there is none, or it is damaged. */
  async #key(): Promise<string | null> {
    const text = await readFile(this.#keyFile, 'utf8').catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return '';
      throw error;
    });
    return KEY.test(text) ? text : null;
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

function proofOf(key: string, path: string, { dev, ino, rdev }: FileIdentity): string {
  return createHmac('sha256', key).update(`${dev}:${ino}:${rdev}\0${path}`).digest('hex');
}

import { imagePieces } from '../../archive/write-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { ContentDisk } from '../exchange/write-export.ts';
import type { Compressor } from '../unpack/filters.ts';
import type { PlainMovedDisk } from './plain-move-report.ts';
import type { RemoteShell } from './remote-shell.ts';
import {
  parseSum,
  publishScript,
  removeScript,
  settleScript,
  sumScript,
  writeScript,
  type NamedFile,
} from './scripts.ts';

const CLEAN_UP_LIMIT_MS = 15_000;

/** A disk, and where it goes. */
export interface PlacedContent {
  disk: ContentDisk;
  /** The image here. */
  source: string;
  /** Absolute, on the other machine. */
  target: string;
}

/** The disks of a move on the other machine: under partial names, until all of them are right. */
export class DisksThere {
  readonly #shell: RemoteShell;
  readonly #isSparse: boolean;
  readonly #compress: Compressor;
  readonly #suffix: string;
  readonly #begun: NamedFile[] = [];

  /** @param random keeps the partial names of two moves apart */
  constructor(shell: RemoteShell, isSparse: boolean, compress: Compressor, random: string) {
    this.#shell = shell;
    this.#isSparse = isSparse;
    this.#compress = compress;
    this.#suffix = `.${random}.partial`;
  }

  /** Sends a disk, and compares its SHA-256. Throws Failure `verification-failed` and what `RemoteShell.run` throws. */
  async write(
    { disk, source, target }: PlacedContent,
    onPiece: (readBytes: number, sentBytes: number) => void,
    { signal }: Context,
  ): Promise<PlainMovedDisk> {
    const partial = `${target}${this.#suffix}`;
    let sha256 = '';
    let sentBytes = 0;
    const pieces = imagePieces(disk, (_, sum) => (sha256 = sum));
    this.#begun.push({ partial, path: target });
    await this.#shell.run(writeScript(partial, this.#isSparse), signal, async (input) => {
      for await (const piece of this.#compress(counted(pieces, onPiece), signal)) {
        signal.throwIfAborted();
        // The compressor uses the memory of a piece again.
        await input.write(Uint8Array.from(piece));
        sentBytes += piece.length;
        onPiece(0, piece.length);
      }
    });
    const sum = parseSum(await this.#shell.run(sumScript(partial), signal));
    if (sum !== sha256)
      throw new Failure(
        'verification-failed',
        `${target} on ${this.#shell.host} is not what was sent: its SHA-256 is ${sum ?? 'unknown'}, and not ${sha256}.`,
        { advice: 'The disk or the memory there may be failing, or full: df, dmesg.' },
      );
    return { source, target, sizeBytes: disk.sizeBytes, readBytes: disk.readBytes, sentBytes, sha256 };
  }

  /** Gives all of them their names. Until `settle`, they can be removed again. Throws Failure `transfer-failed` if one is taken. */
  async publish(signal: AbortSignal): Promise<void> {
    await this.#shell.run(publishScript(this.#begun), signal);
  }

  /** Ends their partial names. Warns if that fails. */
  async settle(context: Context): Promise<void> {
    await this.#cleanUp(settleScript(this.#begun), context);
  }

  /** Removes what was written. Warns if that fails. */
  async remove(context: Context): Promise<void> {
    await this.#cleanUp(removeScript(this.#begun), context);
  }

  async #cleanUp(script: string, { report }: Context): Promise<void> {
    if (this.#begun.length === 0) return;
    try {
      await this.#shell.run(script, AbortSignal.timeout(CLEAN_UP_LIMIT_MS));
    } catch {
      const message = `${this.#shell.host} did not confirm that it removed what the move no longer needs. Look there, and type: ${script.replaceAll('\n', '; ')}`;
      report({ type: 'warning', code: 'clean-up-incomplete', message });
    }
  }
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onPiece: (readBytes: number, sentBytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    if (piece.length > 0) yield piece;
    onPiece(piece.length, 0);
  }
}

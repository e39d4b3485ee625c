import { imagePieces } from '../../archive/write-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { ContentDisk } from '../exchange/write-export.ts';
import type { Compressor } from '../exchange/filters.ts';
import type { PlainMovedDisk } from './plain-move-report.ts';
import type { RemoteShell } from './remote-shell.ts';
import { parseSum, publishScript, removeScript, sumScript, writeScript } from './scripts.ts';

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
  readonly #begun: string[] = [];
  readonly #published: string[] = [];

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
    this.#begun.push(partial);
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

  /** Gives all of them their names. Throws Failure `transfer-failed` if one is taken. */
  async publish(targets: readonly string[], signal: AbortSignal): Promise<void> {
    for (const target of targets) {
      await this.#shell.run(publishScript(`${target}${this.#suffix}`, target), signal);
      this.#published.push(target);
    }
  }

  /** Removes what was written. Warns if that fails. */
  async remove({ report }: Context): Promise<void> {
    const paths = [...this.#begun, ...this.#published];
    if (paths.length === 0) return;
    try {
      await this.#shell.run(removeScript(paths), AbortSignal.timeout(CLEAN_UP_LIMIT_MS));
    } catch {
      const message = `${this.#shell.host} did not confirm that it removed the data of the move: look at ${paths.join(', ')} there.`;
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

import type { Pace } from '../../pipeline/pace.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';

/** The bytes of one write, and their place. */
export interface Piece {
  data: Uint8Array;
  /** In bytes from the beginning of the file. */
  offset: number;
}

/**
 * Cuts the concatenated parts into pieces of `pieceBytes`; the last may be shorter. A piece within one part is a view of it; only
 * pieces across parts are copied.
 */
export function* cutIntoPieces(parts: readonly Uint8Array[], pieceBytes: number): Generator<Piece> {
  let offset = 0;
  let gathered: Uint8Array | null = null;
  let gatheredBytes = 0;
  const totalBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  for (const part of parts) {
    let position = 0;
    while (position < part.byteLength) {
      const wanted = Math.min(pieceBytes, totalBytes - offset);
      const available = part.byteLength - position;
      if (gathered === null && available >= wanted) {
        yield { data: part.subarray(position, position + wanted), offset };
        position += wanted;
        offset += wanted;
        continue;
      }
      gathered ??= new Uint8Array(wanted);
      const taken = Math.min(available, gathered.byteLength - gatheredBytes);
      gathered.set(part.subarray(position, position + taken), gatheredBytes);
      position += taken;
      gatheredBytes += taken;
      if (gatheredBytes < gathered.byteLength) continue;
      yield { data: gathered, offset };
      offset += gatheredBytes;
      gathered = null;
      gatheredBytes = 0;
    }
  }
}

export interface WriteWindow {
  /** How many writes may be unacknowledged at once. */
  writesInFlight: number;
  /** Each piece waits for it; null: no limit. */
  pace?: Pace | null;
  signal: AbortSignal;
  /** Sends one piece; settles when the server has acknowledged or refused it. Must read `data` before it returns. */
  write: (piece: Piece) => Promise<void>;
  onWritten?: ((bytes: number) => void) | undefined;
  /** Called when the last piece was sent. */
  onAllSent?: () => void;
}

/**
 * Sends all pieces, many at once, so that throughput does not depend on the round trip. After the first refusal nothing more is
 * sent, the writes in flight are awaited, and the refusal is thrown. If aborted, it throws the signal's reason at once, without
 * waiting for the writes in flight.
 */
export async function writeThroughWindow(pieces: Iterable<Piece>, window: WriteWindow): Promise<void> {
  const { signal, pace = null, write, writesInFlight, onWritten, onAllSent } = window;
  let refusal: { cause: unknown } | null = null;
  const refused = (): typeof refusal => refusal;
  const send = async (piece: Piece): Promise<void> => {
    try {
      await write(piece);
    } catch (cause) {
      refusal ??= { cause };
      return;
    }
    if (!signal.aborted) onWritten?.(piece.data.byteLength);
  };
  await untilAborted(signal, async () => {
    // Servers answer in order, so wait for the oldest write.
    const waiting: Promise<void>[] = [];
    for (const piece of pieces) {
      if (waiting.length >= writesInFlight) await waiting.shift();
      if (pace !== null) await pace.wait(piece.data.byteLength, signal);
      if (signal.aborted || refused() !== null) break;
      waiting.push(send(piece));
    }
    onAllSent?.();
    await Promise.all(waiting);
  });
  const first = refused();
  if (first !== null) throw first.cause;
}

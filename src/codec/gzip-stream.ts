import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { damagedArchive } from './damaged-archive.ts';

/** The usual level of gzip. */
const LEVEL = 6;
const PIECE_BYTES = 2 ** 18;

type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Compresses with this process's own zlib, on one core. */
export function gzipped(pieces: Pieces, signal: AbortSignal): AsyncIterable<Uint8Array> {
  return through(pieces, createGzip({ level: LEVEL, chunkSize: PIECE_BYTES }), signal);
}

/** Unpacks all members of a gzip stream. Throws Failure `archive-damaged`. */
export async function* gunzipped(pieces: Pieces, signal: AbortSignal): AsyncIterable<Uint8Array> {
  try {
    yield* through(pieces, createGunzip({ chunkSize: PIECE_BYTES }), signal);
  } catch (error) {
    signal.throwIfAborted();
    const code = (error as { code?: unknown }).code;
    if (typeof code === 'string' && code.startsWith('Z_'))
      throw damagedArchive('cannot be unpacked by gzip, or ends too early', error);
    throw error;
  }
}

async function* through(
  pieces: Pieces,
  stream: ReturnType<typeof createGzip>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  // The stream keeps what it is given until it has read it; the owner of a piece uses its memory again.
  const owned = async function* () {
    for await (const piece of pieces) yield Buffer.from(piece);
  };
  const feeding = pipeline(Readable.from(owned(), { highWaterMark: 2 }), stream, { signal });
  feeding.catch(() => undefined);
  yield* stream as AsyncIterable<Uint8Array>;
  await feeding;
}

import { Failure } from '../failure.ts';
import { bestZstd, type Zstd } from './zstd.ts';
import { boundedFrame, saidContentBytes } from './zstd-frame.ts';

/** Most of what these texts hold is hashes in hex digits: higher levels find nothing more. */
const LEVEL = 1;

let loaded: Zstd | null = null;
/** Loaded at first use: its native library takes a while. */
const zstd = (): Zstd => (loaded ??= bestZstd());

/** One zstd frame that says how long its content is. */
export function compressText(text: string): Uint8Array {
  const plain = Buffer.from(text);
  return boundedFrame(zstd().compress(plain, LEVEL), plain.length);
}

/**
 * Ids are hashes: nothing packs their 64 digits into fewer than 32 bytes. A text of different ids is packed some 2 to 1. One that is
 * packed more tightly than this was made to fill the memory of whoever reads it.
 */
const TIGHTEST_IDS = 16;
/** A short text does no harm, however tightly it is packed. */
const SHORT_TEXT_BYTES = 4096;

/** The same as `decompressText`, for a text that consists mostly of ids: an index, or a record of checks. */
export function decompressIds(compressed: Uint8Array, limitBytes: number, what: string): string {
  const mostBytes = Math.max(SHORT_TEXT_BYTES, TIGHTEST_IDS * compressed.length);
  return decompressText(compressed, Math.min(limitBytes, mostBytes), what);
}

/**
 * Throws Failure `store-damaged` where it is no such frame, or its text is longer than the limit.
 * @param what for the message: ‘The index file 1f3a…’
 */
export function decompressText(compressed: Uint8Array, limitBytes: number, what: string): string {
  const plainBytes = saidContentBytes(compressed);
  if (plainBytes === null)
    throw new Failure('store-damaged', `${what} is damaged: it is no compressed text.`);
  if (plainBytes > limitBytes)
    throw new Failure('store-damaged', `${what} is damaged: its text is longer than that of any such file.`);
  try {
    return Buffer.from(zstd().decompress(compressed, plainBytes)).toString('utf8');
  } catch (cause) {
    throw new Failure('store-damaged', `${what} is damaged: it cannot be unpacked.`, { cause });
  }
}

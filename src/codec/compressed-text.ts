import { Failure } from '../failure.ts';
import { bestZstd, type Zstd } from './zstd.ts';
import { boundedFrame, saidContentBytes } from './zstd-frame.ts';

/** The texts are mostly hashes in hex digits, which higher levels do not compress better. */
const LEVEL = 1;

let loaded: Zstd | null = null;
/** Loaded at first use: its native library takes a while. */
const zstd = (): Zstd => (loaded ??= bestZstd());

/** Compresses into one zstd frame, whose header has the content size. */
export function compressText(text: string): Uint8Array {
  const plain = Buffer.from(text);
  return boundedFrame(zstd().compress(plain, LEVEL), plain.length);
}

/**
 * The 64 digits of an id never compress to fewer than 32 bytes, so a text of different ids compresses about 2 to 1. A
 * text that compresses better than this limit was made to fill its readers' memory.
 */
const TIGHTEST_IDS = 16;
/** A shorter text is harmless, however well it compresses. */
const SHORT_TEXT_BYTES = 4096;

/** Like `decompressText`, for a text that consists mostly of ids: an index, or a record of checks. */
export function decompressIds(compressed: Uint8Array, limitBytes: number, what: string): string {
  const mostBytes = Math.max(SHORT_TEXT_BYTES, TIGHTEST_IDS * compressed.length);
  return decompressText(compressed, Math.min(limitBytes, mostBytes), what);
}

/**
 * Throws Failure `store-damaged` if the bytes are not one zstd frame, or the text is longer than the limit.
 * @param what the subject of the message: ‘The index file 1f3a…’
 */
export function decompressText(compressed: Uint8Array, limitBytes: number, what: string): string {
  const plainBytes = saidContentBytes(compressed);
  if (plainBytes === null)
    throw new Failure('store-damaged', `${what} is damaged: it is not a zstd frame with a known size.`);
  if (plainBytes > limitBytes)
    throw new Failure('store-damaged', `${what} is damaged: its text is too long.`);
  try {
    return Buffer.from(zstd().decompress(compressed, plainBytes)).toString('utf8');
  } catch (cause) {
    throw new Failure('store-damaged', `${what} is damaged: it cannot be unpacked.`, { cause });
  }
}

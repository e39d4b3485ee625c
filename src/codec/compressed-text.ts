import { Failure } from '../failure.ts';
import { bestZstd } from './zstd.ts';
import { boundedFrame, saidContentBytes } from './zstd-frame.ts';

/** Most of what these texts hold is hashes in hex digits: higher levels find nothing more. */
const LEVEL = 1;

const zstd = bestZstd();

/** One zstd frame that says how long its content is. */
export function compressText(text: string): Uint8Array {
  const plain = Buffer.from(text);
  return boundedFrame(zstd.compress(plain, LEVEL), plain.length);
}

/**
 * Throws Failure `store-damaged` where it is no such frame, or its text is longer than the limit.
 * @param what for the message: ‘The index file 1f3a…’
 */
export function decompressText(compressed: Uint8Array, limitBytes: number, what: string): string {
  const plainBytes = saidContentBytes(compressed);
  if (plainBytes === null || plainBytes > limitBytes)
    throw new Failure('store-damaged', `${what} is damaged: it is no compressed text.`);
  try {
    return Buffer.from(zstd.decompress(compressed, plainBytes)).toString('utf8');
  } catch (cause) {
    throw new Failure('store-damaged', `${what} is damaged: it cannot be unpacked.`, { cause });
  }
}

import type { ReadAt } from '../source/read-at.ts';
import { Doubt } from './doubt.ts';

/** More is never read at once: nothing that a file system says may cost more memory. */
const MOST_BYTES = 2 ** 20;

/** Reads inside of a file system's region only. Throws Doubt for any other place, as its metadata must have named it. */
export function boundedRead(read: ReadAt, regionBytes: number): ReadAt {
  return (offset, length) => {
    const isInside =
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= regionBytes;
    if (!isInside || length > MOST_BYTES) throw new Doubt('its metadata point outside of it');
    return read(offset, length);
  };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

import { Failure } from '../../failure.ts';
import type { ByteRange, ReadableStore } from '../../store/store.ts';
import { tidyUpAfterReading } from '../../system/memory/garbage.ts';
import { nullIfMissing } from './missing-file.ts';

/**
 * A file of a store, or a range of it. Throws Failure `store-damaged` if it is longer than the limit, without reading the rest, and
 * what the store throws.
 */
export async function readSmallFile(
  store: Pick<ReadableStore, 'get' | 'location'>,
  name: string,
  limitBytes: number,
  signal: AbortSignal,
  range?: ByteRange,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of store.get(name, signal, range)) {
    sizeBytes += part.length;
    tidyUpAfterReading(part.length);
    if (sizeBytes > limitBytes)
      throw new Failure('store-damaged', `${name} in ${store.location} is too long for a file of its kind.`);
    parts.push(part);
  }
  return Buffer.concat(parts, sizeBytes);
}

/** The text of a small file in a store; null if there is none. */
export async function readSmallText(
  store: Pick<ReadableStore, 'get' | 'location'>,
  name: string,
  limitBytes: number,
  signal: AbortSignal,
): Promise<string | null> {
  const bytes = await nullIfMissing(readSmallFile(store, name, limitBytes, signal));
  return bytes === null ? null : bytes.toString('utf8');
}

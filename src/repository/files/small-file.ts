import { Failure } from '../../failure.ts';
import type { ReadableStore } from '../../store/store.ts';
import { isMissingFile } from './missing-file.ts';

/**
 * The text of a small file in a store; null if there is none. Throws Failure `store-damaged` if it is larger than the limit,
 * without reading the rest, and what the store throws.
 */
export async function readSmallFile(
  store: Pick<ReadableStore, 'get' | 'location'>,
  name: string,
  limitBytes: number,
  signal: AbortSignal,
): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const part of store.get(name, signal)) {
      sizeBytes += part.length;
      if (sizeBytes > limitBytes)
        throw new Failure('store-damaged', `${name} in ${store.location} is larger than any such file.`);
      parts.push(part);
    }
  } catch (error) {
    if (isMissingFile(error)) return null;
    throw error;
  }
  return Buffer.concat(parts).toString('utf8');
}

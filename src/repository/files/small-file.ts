import { Failure } from '../../failure.ts';
import type { Store } from '../../store/store.ts';
import { isMissingFile } from './missing-file.ts';

/**
 * A small file of a store as text; null where there is none. Throws Failure `store-damaged` when it is larger than the
 * limit, of which no more is read, and what `Store.get` throws.
 */
export async function readSmallFile(
  store: Store,
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
        throw new Failure('store-damaged', `${name} in ${store.location} is larger than any such file is.`);
      parts.push(part);
    }
  } catch (error) {
    if (isMissingFile(error)) return null;
    throw error;
  }
  return Buffer.concat(parts).toString('utf8');
}

import { Failure } from '../../failure.ts';
import type { BackupStore, ReadableStore } from '../../store/store.ts';
import { readSmallText } from '../files/small-file.ts';
import { KEY_FILE_LIMIT_BYTES, keyFileText, parseKeyFile, type StoreKeyFile } from './store-key-file.ts';

const folder = 'keys';
/** Trying a key costs one scrypt: a hostile server must not make the client try thousands. */
export const MOST_KEYS = 32;

/**
 * The key files of a store, by id. A damaged file does not keep the others from being used; `damaged` is the
 * failure of the first damaged file. Throws Failure `store-damaged` if there are more files than vmferry ever
 * makes.
 */
export async function readKeyFiles(
  store: ReadableStore,
  signal: AbortSignal,
): Promise<{ files: StoreKeyFile[]; damaged: Failure | null }> {
  const ids = (await store.list(folder, signal)).flatMap(
    ({ name }) => /^([0-9a-f]{16})\.json$/.exec(name)?.[1] ?? [],
  );
  if (ids.length > MOST_KEYS)
    throw new Failure(
      'store-damaged',
      `The store ${store.location} has ${ids.length} keys, but vmferry makes at most ${MOST_KEYS}.`,
    );
  const files: StoreKeyFile[] = [];
  let damaged: Failure | null = null;
  for (const id of ids.toSorted()) {
    try {
      const text = await readSmallText(store, keyFileName(id), KEY_FILE_LIMIT_BYTES, signal);
      if (text !== null) files.push(parseKeyFile(text, id));
    } catch (error) {
      const isItsOwn =
        error instanceof Failure && ['store-damaged', 'store-unsupported'].includes(error.code);
      if (!isItsOwn) throw error;
      damaged ??= error;
    }
  }
  return { files, damaged };
}

export async function putKeyFile(store: BackupStore, file: StoreKeyFile, signal: AbortSignal): Promise<void> {
  await store.put(keyFileName(file.id), [Buffer.from(keyFileText(file))], { signal });
}

export function keyFileName(id: string): string {
  return `${folder}/${id}.json`;
}

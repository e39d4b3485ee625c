import { Failure } from '../../failure.ts';
import type { IndexedPack } from '../chunk-index/chunk-index.ts';
import type { GuestReader, StoredObject } from '../guest-reader.ts';
import { parseIndexText } from '../chunk-index/index-text.ts';
import { isMissingFile, nullIfMissing } from '../files/missing-file.ts';
import { trashed } from './trash.ts';

/** A page may be moved between the trash and its place while it is looked for. */
const ATTEMPTS = 4;

/** A page's text, from its place or the trash. Throws Failure `store-damaged` if the page is in neither, or damaged. */
export async function readPageAnywhere(
  folder: GuestReader,
  id: string,
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await folder.readPage(id, signal);
    } catch (error) {
      if (!(error instanceof Failure) || !isMissingFile(error.cause) || attempt === ATTEMPTS) throw error;
    }
    const object = (await trashed(folder, 'maps', signal)).get(id);
    if (object === undefined) continue;
    const text = await nullIfMissing(folder.readText('maps', object, signal));
    if (text !== null) return text;
  }
}

/** The packs in an index file in the trash; null if the file is gone. Throws Failure `store-damaged`. */
export async function readTrashedIndex(
  folder: GuestReader,
  object: StoredObject,
  signal: AbortSignal,
): Promise<IndexedPack[] | null> {
  const text = await nullIfMissing(folder.readText('index', object, signal));
  return text === null ? null : parseIndexText(text);
}

import { decompressIds, decompressText } from '../../codec/compressed-text.ts';
import { sealPurpose } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';
import { PAGE_LIMIT_BYTES } from '../chunk-index/chunk-map-page.ts';
import type { IndexedPack } from '../chunk-index/chunk-index.ts';
import type { GuestFolder, StoredObject } from '../guest-folder.ts';
import { INDEX_LIMIT_BYTES, parseIndexText } from '../chunk-index/index-text.ts';
import { isMissingFile } from '../files/missing-file.ts';
import { trashed } from './trash.ts';

/** A page may be on its way from the trash to its place just when it is looked for, or the other way. */
const ATTEMPTS = 4;

/** A page's text, from its place or from the trash. Throws Failure `store-damaged` where it is in neither, or damaged. */
export async function readPageAnywhere(
  folder: GuestFolder,
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
    const text = await readText(folder, object, 'maps', signal);
    if (text !== null) return text;
  }
}

/** What an index file in the trash says; null where it is not there any more. Throws Failure `store-damaged`. */
export async function readTrashedIndex(
  folder: GuestFolder,
  object: StoredObject,
  signal: AbortSignal,
): Promise<IndexedPack[] | null> {
  const text = await readText(folder, object, 'index', signal);
  return text === null ? null : parseIndexText(text);
}

async function readText(
  folder: GuestFolder,
  { id, name }: StoredObject,
  kind: 'maps' | 'index',
  signal: AbortSignal,
): Promise<string | null> {
  const [purpose, limitBytes, decompress] =
    kind === 'index'
      ? [sealPurpose.index(folder.guest), INDEX_LIMIT_BYTES, decompressIds]
      : [sealPurpose.page(folder.guest), PAGE_LIMIT_BYTES, decompressText];
  let sealed: Uint8Array;
  try {
    sealed = await folder.read(name, limitBytes, signal);
  } catch (error) {
    if (isMissingFile(error)) return null;
    throw error;
  }
  const text = decompress(folder.seal.open(purpose, sealed), limitBytes, name);
  if (folder.seal.nameOf(Buffer.from(text)) === id) return text;
  throw new Failure('store-damaged', `${name} is damaged: it is not what its name says.`);
}

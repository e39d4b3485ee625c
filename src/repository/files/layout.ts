import { isGuestName } from '../../guest/definition.ts';

/* Where files are in a store: doc/store.md. Names are relative to the store, with `/` between folders. */

export const markerName = 'vmferry-store.json';
export const guestsFolder = 'guests';

/** The kinds of objects in a guest's folder; each kind has a folder of its own. */
export type ObjectKind = 'snapshots' | 'maps' | 'packs' | 'index';

const plainEnding: Record<ObjectKind, string> = {
  snapshots: '.json',
  maps: '.zst',
  packs: '.tar',
  index: '.zst',
};

/** The name of a guest's folder. */
export function guestFolder(guest: string): string {
  if (!isGuestName(guest)) throw new Error(`no guest name: ${JSON.stringify(guest)}`);
  return `${guestsFolder}/${guest}`;
}

/**
 * The name of an object's file within its folder.
 * @param suffix of the store's seal; packs are sealed inside, and keep their ending
 */
export function fileNameOf(kind: ObjectKind, id: string, suffix: string): string {
  return `${id}${endingOf(kind, suffix)}`;
}

/** The id in a file's name; null for a file of another kind, or one that vmferry did not make. */
export function idOfFileName(kind: ObjectKind, fileName: string, suffix: string): string | null {
  const ending = endingOf(kind, suffix);
  return fileName.endsWith(ending) ? fileName.slice(0, -ending.length) : null;
}

function endingOf(kind: ObjectKind, suffix: string): string {
  return kind === 'packs' ? plainEnding.packs : plainEnding[kind] + suffix;
}

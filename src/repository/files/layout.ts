import { isGuestName } from '../../guest/definition.ts';

/* Where things lie in a store: doc/store.md. Names within the store, with `/` between folders. */

export const markerName = 'vmferry-store.json';
export const guestsFolder = 'guests';

/** What a guest's folder has a folder for, and a prune may put into the trash. */
export type ObjectKind = 'snapshots' | 'maps' | 'packs' | 'index';

const plainEnding: Record<ObjectKind, string> = {
  snapshots: '.json',
  maps: '.zst',
  packs: '.tar',
  index: '.zst',
};

/** The name of a guest's folder. The guest's name is one that `isGuestName` accepts. */
export function guestFolder(guest: string): string {
  if (!isGuestName(guest)) throw new Error(`no guest name: ${JSON.stringify(guest)}`);
  return `${guestsFolder}/${guest}`;
}

/**
 * The name of a file within its folder, and back.
 * @param suffix of the store's seal; packs are sealed inside, and keep their name
 */
export function fileNameOf(kind: ObjectKind, id: string, suffix: string): string {
  return `${id}${endingOf(kind, suffix)}`;
}

/** Null for files that are none of this kind: a stranger's, or left over. */
export function idOfFileName(kind: ObjectKind, fileName: string, suffix: string): string | null {
  const ending = endingOf(kind, suffix);
  return fileName.endsWith(ending) ? fileName.slice(0, -ending.length) : null;
}

function endingOf(kind: ObjectKind, suffix: string): string {
  return kind === 'packs' ? plainEnding.packs : plainEnding[kind] + suffix;
}

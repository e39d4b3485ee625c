import type { GuestFolder } from '../guest-folder.ts';
import type { GuestReader, StoredObject } from '../guest-reader.ts';
import { fileNameOf, type ObjectKind } from '../files/layout.ts';

/** The kinds of objects that a prune may move to the trash. */
export type TrashKind = Exclude<ObjectKind, 'snapshots'>;

/** An object in the trash. */
export interface TrashedObject extends StoredObject {
  kind: TrashKind;
  /** The folder in `trash` of the prune that moved it there. */
  batch: string;
}

/** All objects of that kind in the trash, by id. */
export async function trashed(
  folder: GuestReader,
  kind: TrashKind,
  signal: AbortSignal,
): Promise<Map<string, TrashedObject>> {
  const found = new Map<string, TrashedObject>();
  for (const { name: batch, isFolder } of await folder.store.list(folder.pathOf('trash'), signal)) {
    if (!isFolder) continue;
    const objects = await folder.objectsIn(kind, folder.pathOf(`trash/${batch}/${kind}`), signal);
    for (const object of objects.values()) found.set(object.id, { ...object, kind, batch });
  }
  return found;
}

/** Moves an object from its place into the trash. Does nothing if it is gone. */
export async function throwAway(
  folder: GuestFolder,
  kind: TrashKind,
  id: string,
  batch: string,
  signal: AbortSignal,
): Promise<void> {
  const name = fileNameOf(kind, id, folder.seal.suffix);
  await folder.store.rename(folder.nameOf(kind, id), folder.pathOf(`trash/${batch}/${kind}/${name}`), signal);
}

/**
 * Moves objects from the trash back to their place (doc/store.md, Who writes when). Returns the ids that are in neither.
 * @param wanted ids; those that are in their place already are left alone
 */
export async function takeBack(
  folder: GuestFolder,
  kind: TrashKind,
  wanted: Iterable<string>,
  signal: AbortSignal,
): Promise<string[]> {
  const there = await folder.objects(kind, signal);
  const absent = [...wanted].filter((id) => !there.has(id));
  if (absent.length === 0) return [];
  const inTrash = await trashed(folder, kind, signal);
  const lost: string[] = [];
  for (const id of absent) {
    const object = inTrash.get(id);
    const isBack =
      object !== undefined && (await folder.store.rename(object.name, folder.nameOf(kind, id), signal));
    if (!isBack) lost.push(id);
  }
  if (lost.length === 0) return [];
  // Another process may have taken them back meanwhile.
  const now = await folder.objects(kind, signal);
  return lost.filter((id) => !now.has(id));
}

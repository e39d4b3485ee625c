import type { GuestFolder, StoredObject } from '../guest-folder.ts';
import { fileNameOf, type ObjectKind } from '../files/layout.ts';

/** What a prune takes out, and a backup or a reader may need back. */
export type TrashKind = Exclude<ObjectKind, 'snapshots'>;

/** Something in the trash: which prune has put it there. */
export interface TrashedObject extends StoredObject {
  kind: TrashKind;
  /** The name of that prune's folder in `trash`. */
  batch: string;
}

/** Everything of that kind in the trash, by id. */
export async function trashed(
  folder: GuestFolder,
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

/** Moves objects from their place into the trash; what is not there any more is left out. */
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
 * Moves what is wanted back from the trash to its place (doc/store.md, Who writes when). Answers with what is neither
 * there nor in the trash.
 * @param wanted ids; those that are in their place already are no trouble
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
  // Somebody else may have taken it back meanwhile.
  const now = await folder.objects(kind, signal);
  return lost.filter((id) => !now.has(id));
}

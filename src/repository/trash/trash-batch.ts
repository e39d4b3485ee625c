import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { GuestFolder } from '../guest-folder.ts';
import type { GuestReader } from '../guest-reader.ts';
import type { TrashedObject, TrashKind } from './trash.ts';

/*
 * Each prune moves objects to a trash folder of its own (doc/store.md, Who writes when). No other process writes there, and no
 * object is put there twice.
 */

const KINDS: readonly TrashKind[] = ['packs', 'maps', 'index'];
const BATCHES_AT_ONCE = 4;
/** An empty file: its time tells a later prune how old the batch is. */
const MARK = 'begun';

export interface TrashBatch {
  name: string;
  /** By the server's clock; null if its mark is lost. */
  begunMs: number | null;
  objects: TrashedObject[];
}

/** Begins a batch. Returns the server's time; 0 if the server gives no times. */
export async function beginBatch(folder: GuestFolder, name: string, signal: AbortSignal): Promise<number> {
  await folder.store.put(markOf(folder, name), [], { signal });
  return (await begunMsOf(folder, name, signal)) ?? 0;
}

/** All batches in the trash. */
export async function listBatches(folder: GuestReader, signal: AbortSignal): Promise<TrashBatch[]> {
  const entries = await folder.store.list(folder.pathOf('trash'), signal);
  const names = entries.filter(({ isFolder }) => isFolder).map(({ name }) => name);
  const batches: TrashBatch[] = [];
  const listed = mapOrdered(names.toSorted(), BATCHES_AT_ONCE, async (name) => ({
    name,
    begunMs: await begunMsOf(folder, name, signal),
    objects: await objectsOf(folder, name, signal),
  }));
  for await (const batch of listed) batches.push(batch);
  return batches;
}

/** Removes the folders of a batch if no object is left in it. */
export async function removeEmptyBatch(
  folder: GuestFolder,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await objectsOf(folder, name, signal)).length > 0) return;
  for (const kind of KINDS) await folder.store.removeFolder(folder.pathOf(`trash/${name}/${kind}`), signal);
  await folder.store.remove(markOf(folder, name), signal);
  await folder.store.removeFolder(folder.pathOf(`trash/${name}`), signal);
}

async function begunMsOf(folder: GuestReader, name: string, signal: AbortSignal): Promise<number | null> {
  const entries = await folder.store.list(folder.pathOf(`trash/${name}`), signal);
  return entries.find((entry) => entry.name === MARK)?.modifiedMs ?? null;
}

async function objectsOf(folder: GuestReader, batch: string, signal: AbortSignal): Promise<TrashedObject[]> {
  const objects: TrashedObject[] = [];
  for (const kind of KINDS) {
    const found = await folder.objectsIn(kind, folder.pathOf(`trash/${batch}/${kind}`), signal);
    for (const object of found.values()) objects.push({ ...object, kind, batch });
  }
  return objects;
}

function markOf(folder: GuestReader, name: string): string {
  return folder.pathOf(`trash/${name}/${MARK}`);
}

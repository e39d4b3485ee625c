import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { beginBatch, removeEmptyBatch, type TrashBatch } from '../../repository/trash/trash-batch.ts';
import type { TrashedObject } from '../../repository/trash/trash.ts';
import type { PruneKnowledge, Survey } from './survey.ts';

const REMOVALS_AT_ONCE = 8;

/**
 * Trash objects that no snapshot listed since needs, or whose place has a copy listed since.
 * @param olderThanMs by the server's clock; batches that were begun later stay
 */
export function deletable(
  { reached, facts }: PruneKnowledge,
  { trash, pages, packs, packsInTrash, indexFiles, cover }: Survey,
  olderThanMs: number,
): TrashedObject[] {
  const contentOf = new Map(packsInTrash.map((pack) => [pack.id, pack]));
  const there = new Map([...packs, ...packsInTrash].map((pack) => [pack.id, { ...pack, name: pack.id }]));
  const named = facts.namedBy(indexFiles.keys(), there);
  const inPlace = new Set(packs.map(({ id }) => id));
  return trash
    .filter((batch) => isOld(batch, olderThanMs))
    .flatMap(({ objects }) => objects)
    .filter((object) => {
      switch (object.kind) {
        case 'maps':
          return !reached.pages.has(object.id) || pages.has(object.id);
        case 'packs': {
          const pack = contentOf.get(object.id);
          // The copy in its place is at least as good.
          if (pack === undefined && inPlace.has(object.id)) return true;
          const isUsed = (cover.useOf(object.id)?.usedBytes ?? 0) > 0;
          return pack !== undefined && !isUsed && cover.canDoWithout(pack);
        }
        case 'index':
          return facts
            .packsIn(object.id)
            .every(({ id, sizeBytes }) => there.get(id)?.sizeBytes !== sizeBytes || named.has(id));
      }
    });
}

/** Deletes the objects, and the folders that this leaves empty. */
export async function emptyTrash(
  { folder, damaged }: PruneKnowledge,
  { trash, packs, pages }: Survey,
  objects: readonly TrashedObject[],
  olderThanMs: number,
  signal: AbortSignal,
): Promise<void> {
  const inPlace = new Set([...packs.map(({ id }) => id), ...pages.keys()]);
  const removals = mapOrdered(objects, REMOVALS_AT_ONCE, async ({ id, name }) => {
    await folder.store.remove(name, signal);
    if (damaged.has(id) && !inPlace.has(id)) await folder.unmark('damaged', id, signal);
  });
  for await (const _ of removals) signal.throwIfAborted();
  for (const batch of trash) {
    if (isOld(batch, olderThanMs)) await removeEmptyBatch(folder, batch.name, signal);
    // A loss of power removed the batch's mark, so its age counts from now on.
    else if (batch.begunMs === null) await beginBatch(folder, batch.name, signal);
  }
}

function isOld({ begunMs }: TrashBatch, olderThanMs: number): boolean {
  return begunMs !== null && begunMs <= olderThanMs;
}

import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { GuestFolder, StoredObject, StoredObjects } from '../../repository/guest-folder.ts';
import { ChunkCover, type PlannedPack } from '../../repository/retention/prune-plan.ts';
import { listBatches, type TrashBatch } from '../../repository/trash/trash-batch.ts';
import type { TrashedObject, TrashKind } from '../../repository/trash/trash.ts';
import { collectGrownGarbage } from '../../system/memory.ts';
import type { PackFacts } from './pack-facts.ts';
import { readSnapshots, type Reached } from './reached.ts';

/** Renames on their way at once: what they wait for is the round trip. */
const MOVES_AT_ONCE = 8;
const PACKS_PER_INDEX = 64;
/** What a survey found absent may have been on its way from one place to the other. */
const MOST_SURVEYS = 4;

/** What one prune learns of a guest, and goes by. */
export interface PruneKnowledge {
  folder: GuestFolder;
  reached: Reached;
  facts: PackFacts;
  /** Ids of packs and pages that verify found damaged. */
  damaged: ReadonlySet<string>;
}

/** What was where, listed in this order; doc/store.md says why it matters. */
export interface Survey {
  trash: readonly TrashBatch[];
  pages: StoredObjects;
  indexFiles: StoredObjects;
  packs: readonly PlannedPack[];
  packsInTrash: readonly PlannedPack[];
  /** Of what is needed: from packs in their place, and else from those in the trash. */
  cover: ChunkCover;
}

/** Lists everything, and reads what is new. */
export async function survey(
  { folder, reached, facts, damaged }: PruneKnowledge,
  signal: AbortSignal,
): Promise<Survey> {
  const trash = await listBatches(folder, signal);
  await reached.add(folder, await readSnapshots(folder, reached.snapshots, signal), signal);
  const pages = await folder.objects('maps', signal);
  const indexFiles = await facts.refresh(folder, signal);
  const listed = await folder.objects('packs', signal);
  const isSound = (object: StoredObject) => facts.of(object) !== null && !damaged.has(object.id);
  const hasSound = (id: string) => {
    const object = listed.get(id);
    return object !== undefined && isSound(object);
  };
  const trashed = objectsOf(trash, 'packs').filter(({ id }) => !hasSound(id));
  if ([...listed.values(), ...trashed].some((object) => facts.of(object) === null))
    await facts.learnFromTrash(folder, objectsOf(trash, 'index'), signal);
  const planned = (object: StoredObject): PlannedPack => ({
    ...object,
    isDamaged: damaged.has(object.id),
    content: facts.of(object),
  });
  const packs = [...listed.values()].map(planned);
  // One that is cut off or damaged in its place is worth less than any in the trash of which it is known what it is.
  const packsInTrash = bestOfEach(trashed.filter(({ id }) => !hasSound(id)).map(planned)).filter(
    ({ id, content }) => !listed.has(id) || content !== null,
  );
  const inTrash = new Set(packsInTrash.map(({ id }) => id));
  const cover = new ChunkCover(reached.chunks);
  cover.add(packs.filter(({ id }) => !inTrash.has(id)));
  cover.add(packsInTrash);
  return { trash, pages, indexFiles, packs, packsInTrash, cover };
}

/** One of each id: one of which it is known what it holds, where there is one. */
function bestOfEach(packs: readonly PlannedPack[]): PlannedPack[] {
  const worstFirst = packs.toSorted(
    (one, other) => Number(one.content !== null) - Number(other.content !== null),
  );
  return [...new Map(worstFirst.map((pack) => [pack.id, pack])).values()];
}

/** All of one kind in the trash. */
export function objectsOf(trash: readonly TrashBatch[], kind: TrashKind): TrashedObject[] {
  return trash.flatMap(({ objects }) => objects.filter((object) => object.kind === kind));
}

/**
 * Takes back from the trash what snapshots reach, and names in an index file every pack that is there and known, until a survey
 * finds nothing of this to do: that one is answered.
 */
export async function settle(knowledge: PruneKnowledge, signal: AbortSignal): Promise<Survey> {
  for (let round = 1; ; round++) {
    // What the last survey has found is as large as this one, and is not needed any more.
    collectGrownGarbage();
    const found = await survey(knowledge, signal);
    const back = toTakeBack(knowledge, found);
    const nameless = namelessPacks(knowledge, found);
    if (back.length + nameless.length === 0 && (found.cover.uncoveredCount === 0 || round > 1)) return found;
    if (round === MOST_SURVEYS) return found;
    await takeObjectsBack(knowledge.folder, back, signal);
    for (let first = 0; first < nameless.length; first += PACKS_PER_INDEX) {
      const group = nameless.slice(first, first + PACKS_PER_INDEX);
      await knowledge.folder.writeIndex(
        group.map(({ content }) => content).filter((content) => content !== null),
        signal,
      );
    }
  }
}

function toTakeBack({ reached }: PruneKnowledge, { trash, pages, packsInTrash, cover }: Survey) {
  const neededPacks = packsInTrash.filter(({ id }) => (cover.useOf(id)?.usedBytes ?? 0) > 0);
  const needed = new Map(neededPacks.map(({ id, sizeBytes }) => [id, sizeBytes]));
  return [
    ...objectsOf(trash, 'packs').filter(({ id, sizeBytes }) => needed.get(id) === sizeBytes),
    ...objectsOf(trash, 'maps').filter(({ id }) => reached.pages.has(id) && !pages.has(id)),
  ];
}

function namelessPacks({ facts }: PruneKnowledge, { packs, indexFiles }: Survey): PlannedPack[] {
  const there = new Map(packs.map((pack) => [pack.id, { ...pack, name: pack.id }]));
  const named = facts.namedBy(indexFiles.keys(), there);
  return packs.filter(({ id, content }) => content !== null && !named.has(id));
}

async function takeObjectsBack(
  folder: GuestFolder,
  objects: readonly TrashedObject[],
  signal: AbortSignal,
): Promise<void> {
  const moves = mapOrdered(objects, MOVES_AT_ONCE, ({ kind, id, name }) =>
    folder.store.rename(name, folder.nameOf(kind, id), signal),
  );
  for await (const _ of moves) signal.throwIfAborted();
}

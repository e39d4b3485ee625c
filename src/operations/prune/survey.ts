import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { StoredObject, StoredObjects } from '../../repository/guest-reader.ts';
import { ChunkCover, type PlannedPack } from '../../repository/retention/prune-plan.ts';
import { listBatches, type TrashBatch } from '../../repository/trash/trash-batch.ts';
import type { TrashedObject, TrashKind } from '../../repository/trash/trash.ts';
import { tidyUpAfterObjects } from '../../system/memory/garbage.ts';
import type { PackFacts } from './pack-facts.ts';
import { readSnapshots, type Reached } from './reached.ts';

/** Renames in flight at once: each waits for a round trip. */
const MOVES_AT_ONCE = 8;
/** An object may seem missing while it moves between its place and the trash, so the survey is repeated. */
const MOST_SURVEYS = 4;

/** What one prune has learned about a guest so far. */
export interface PruneKnowledge {
  folder: GuestFolder;
  reached: Reached;
  facts: PackFacts;
  /** Ids of packs and pages that verify found damaged. */
  damaged: ReadonlySet<string>;
}

/** Where everything was, in the order it was listed. doc/store.md says why the order matters. */
export interface Survey {
  trash: readonly TrashBatch[];
  pages: StoredObjects;
  indexFiles: StoredObjects;
  packs: readonly PlannedPack[];
  packsInTrash: readonly PlannedPack[];
  /** Which pack each needed chunk is taken from: one in its place, else one in the trash. */
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
  // Prefer an indexed pack in the trash to a damaged or truncated one in place.
  const packsInTrash = bestOfEach(trashed.filter(({ id }) => !hasSound(id)).map(planned)).filter(
    ({ id, content }) => !listed.has(id) || content !== null,
  );
  const inTrash = new Set(packsInTrash.map(({ id }) => id));
  const cover = new ChunkCover(reached.chunks);
  cover.add(packs.filter(({ id }) => !inTrash.has(id)));
  cover.add(packsInTrash);
  return { trash, pages, indexFiles, packs, packsInTrash, cover };
}

/** One pack of each id, preferably an indexed one. */
function bestOfEach(packs: readonly PlannedPack[]): PlannedPack[] {
  const worstFirst = packs.toSorted(
    (one, other) => Number(one.content !== null) - Number(other.content !== null),
  );
  return [...new Map(worstFirst.map((pack) => [pack.id, pack])).values()];
}

/** All objects of one kind in the trash. */
export function objectsOf(trash: readonly TrashBatch[], kind: TrashKind): TrashedObject[] {
  return trash.flatMap(({ objects }) => objects.filter((object) => object.kind === kind));
}

/**
 * Takes needed objects back from the trash, and writes index files for packs whose own are gone, until a survey finds nothing
 * of this to do. Returns that survey.
 */
export async function settle(knowledge: PruneKnowledge, signal: AbortSignal): Promise<Survey> {
  for (let round = 1; ; round++) {
    // The previous survey is as large as the next one, and is no longer needed.
    tidyUpAfterObjects();
    const found = await survey(knowledge, signal);
    const back = toTakeBack(knowledge, found);
    const nameless = namelessPacks(knowledge, found);
    if (back.length + nameless.length === 0 && (found.cover.uncoveredCount === 0 || round > 1)) return found;
    if (round === MOST_SURVEYS) return found;
    await takeObjectsBack(knowledge.folder, back, signal);
    const contents = nameless.map(({ content }) => content).filter((content) => content !== null);
    await knowledge.folder.writeIndexes(contents, signal);
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

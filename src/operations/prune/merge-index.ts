import type { IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import type { PackFacts } from './pack-facts.ts';
import type { PruneKnowledge, Survey } from './survey.ts';

/** With more index files than this, those that are not full are merged. */
const MANY_FILES = 32;
const MOST_PACKS = 64;
/** Approximate limit of an index file's text. */
const MOST_TEXT_BYTES = 8 * 2 ** 20;
const CHUNK_LINE_BYTES = 76;

/**
 * Writes new index files in place of many small ones, and of those that name packs that are gone. Returns the files that are
 * no longer needed: other files say the same about every pack in its place or in the trash.
 */
export async function mergeIndex(
  { folder, facts }: PruneKnowledge,
  { packs, packsInTrash, indexFiles }: Survey,
  signal: AbortSignal,
): Promise<string[]> {
  const there = new Map([...packs, ...packsInTrash].map(({ id, sizeBytes }) => [id, sizeBytes]));
  const isThere = ({ id, sizeBytes }: IndexedPack) => there.get(id) === sizeBytes;
  const stale = staleFiles([...indexFiles.keys()], facts, isThere);
  if (stale.length === 0) return [];
  const kept = new Map(
    stale.flatMap((file) =>
      facts
        .packsIn(file)
        .filter(isThere)
        .map((pack) => [pack.id, pack] as const),
    ),
  );
  const written = new Set<string>();
  for (const group of groupsOf([...kept.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))))
    written.add((await folder.writeIndex(group, signal)).id);
  return stale.filter((file) => !written.has(file));
}

/** Index files that name packs that are gone; if there are many files, also all that are not full. */
function staleFiles(
  files: readonly string[],
  facts: PackFacts,
  isThere: (pack: IndexedPack) => boolean,
): string[] {
  const readable = files.filter((file) => !facts.isDamaged(file));
  return readable.filter((file) => {
    const packs = facts.packsIn(file);
    return (files.length > MANY_FILES && !isFull(packs)) || !packs.every(isThere);
  });
}

function isFull(packs: readonly IndexedPack[]): boolean {
  return packs.length >= MOST_PACKS || textBytes(packs) >= MOST_TEXT_BYTES / 2;
}

function* groupsOf(packs: readonly IndexedPack[]): Iterable<IndexedPack[]> {
  let group: IndexedPack[] = [];
  let groupBytes = 0;
  for (const pack of packs) {
    const packBytes = textBytes([pack]);
    const isTooLong = groupBytes + packBytes > MOST_TEXT_BYTES;
    if (group.length > 0 && (group.length === MOST_PACKS || isTooLong)) {
      yield group;
      group = [];
      groupBytes = 0;
    }
    group.push(pack);
    groupBytes += packBytes;
  }
  if (group.length > 0) yield group;
}

function textBytes(packs: readonly IndexedPack[]): number {
  return packs.reduce(
    (sum, { frames }) =>
      sum + frames.reduce((chunks, frame) => chunks + frame.chunks.lengths.length, 0) * CHUNK_LINE_BYTES,
    0,
  );
}

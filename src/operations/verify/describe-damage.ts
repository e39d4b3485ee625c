import type { Failure } from '../../failure.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { Structure } from './check-structure.ts';
import type { StuckInTrash } from './settle-structure.ts';
import type { DamagedDisk, DamagedSnapshot, FileCount, StoreProblem } from './verify-report.ts';

/** What verify found besides the structure. */
export interface FoundBesides {
  damagedPacks: ReadonlyMap<string, { damage: string }>;
  stuck: readonly StuckInTrash[];
  /** Wrong and unreadable index files that were replaced by correct ones. */
  corrected: ReadonlySet<string>;
}

/** What is wrong with files of the guest's folder; each problem once. */
export function problemsOf(
  folder: GuestReader,
  structure: Structure,
  { damagedPacks, stuck, corrected }: FoundBesides,
  recordFailures: readonly Failure[],
): StoreProblem[] {
  const { unreadable, maps, badPages, index } = structure;
  const stuckIds = new Set(stuck.map(({ id }) => id));
  const problems: StoreProblem[] = unreadable.map(({ id, failure }) => ({
    kind: 'manifest-damaged',
    file: folder.nameOf('snapshots', id),
    message: failure.message,
  }));
  for (const [id, { message }] of badPages)
    if (!stuckIds.has(id))
      problems.push({
        kind: maps.has(id) ? 'map-damaged' : 'map-missing',
        file: folder.nameOf('maps', id),
        message,
      });
  problems.push(...otherMaps(folder, structure));
  const outcome = (file: string) => (corrected.has(file) ? ' It was replaced by a correct one.' : '');
  for (const { file, failure } of index.failures) {
    const message = `${failure.message}${outcome(file)}`;
    problems.push({ kind: 'index-damaged', file: folder.nameOf('index', file), message });
  }
  for (const { file, wrong } of index.wrongFiles) {
    const name = folder.nameOf('index', file);
    const message = `${name} gives wrong places for the chunks of ${wrong.size} packs.${outcome(file)}`;
    problems.push({ kind: 'index-damaged', file: name, message });
  }
  problems.push(...packProblems(folder, structure, damagedPacks, stuckIds));
  for (const { kind, id, failure } of stuck) {
    const file = folder.nameOf(kind, id);
    const message = `${file} is only in the trash of a prune, and could not be moved back: ${failure.message} The next prune or backup moves it back.`;
    problems.push({ kind: 'only-in-trash', file, message });
  }
  for (const { message } of recordFailures)
    problems.push({ kind: 'check-record-damaged', file: folder.pathOf('checked'), message });
  return problems;
}

function otherMaps(folder: GuestReader, { checkedMaps }: Structure): StoreProblem[] {
  return checkedMaps
    .filter(({ isOtherMap }) => isOtherMap)
    .map(({ snapshot, disk }) => ({
      kind: 'manifest-damaged',
      file: folder.nameOf('snapshots', snapshot),
      message: `The chunk map of the disk ${disk.name} does not have the fingerprint that the snapshot ${snapshot} names.`,
    }));
}

function packProblems(
  folder: GuestReader,
  { packs, lostPacks, index, unindexedChunks }: Structure,
  damagedPacks: ReadonlyMap<string, { damage: string }>,
  stuckIds: ReadonlySet<string>,
): StoreProblem[] {
  const problems: StoreProblem[] = [];
  for (const [id, { damage }] of damagedPacks)
    problems.push({ kind: 'pack-damaged', file: folder.nameOf('packs', id), message: damage });
  for (const id of index.resized) {
    if (damagedPacks.has(id)) continue;
    const file = folder.nameOf('packs', id);
    const message = `${file} has ${packs.get(id)?.sizeBytes ?? 0} bytes, but the index gives another size: the file was truncated or changed.`;
    problems.push({ kind: 'pack-damaged', file, message });
  }
  for (const id of lostPacks) {
    if (packs.has(id) || stuckIds.has(id)) continue;
    const file = folder.nameOf('packs', id);
    problems.push({ kind: 'pack-missing', file, message: `${file} is missing.` });
  }
  if (unindexedChunks > 0) {
    const file = folder.pathOf('index');
    const message = `Snapshots need ${unindexedChunks} chunks that no index of the guest ${folder.guest} has.`;
    problems.push({ kind: 'chunks-not-indexed', file, message });
  }
  return problems;
}

/** The snapshots that cannot be restored in full, the oldest first. */
export function damagedSnapshots({ unreadable, checkedMaps }: Structure): DamagedSnapshot[] {
  const disks = new Map<string, DamagedDisk[]>(unreadable.map(({ id }) => [id, []]));
  for (const { snapshot, disk, damage } of checkedMaps) {
    const { bytes: damagedBytes, ranges, moreRanges } = damage;
    if (damagedBytes === 0) continue;
    const found = { name: disk.name, damagedBytes, ranges, moreRanges };
    disks.set(snapshot, [...(disks.get(snapshot) ?? []), found]);
  }
  return [...disks]
    .map(([snapshot, found]) => ({ snapshot, disks: found }))
    .sort((one, other) => (one.snapshot < other.snapshot ? -1 : 1));
}

/** Packs, pages and index files that no snapshot needs. */
export function unreferenced({ packs, maps, snapshots, usedPacks, lostPacks, index }: Structure): FileCount {
  const usedPages = new Set(snapshots.flatMap(({ disks }) => disks.flatMap(({ pages }) => pages)));
  const files = [
    ...[...packs.values()].filter(({ id }) => !usedPacks.has(id) && !lostPacks.has(id)),
    ...[...maps.values()].filter(({ id }) => !usedPages.has(id)),
  ];
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { count: files.length + index.idleFiles.length, bytes };
}

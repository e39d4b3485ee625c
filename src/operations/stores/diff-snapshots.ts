import { chunkGridFor, chunkLength, type ChunkGrid } from '../../chunk/chunk-grid.ts';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { Extent } from '../../extent/extents.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { POSITIONS_PER_PAGE, readPageText } from '../../repository/chunk-index/chunk-map-page.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';
import { readChosenSnapshots } from '../restore/chosen-snapshot.ts';
import { PageReader } from '../restore/snapshot-map.ts';
import type { ReadSession } from '../store-access/store-session.ts';

const PAGES_AT_ONCE = 8;
/** Limit for all disks together: many disks may share few pages, so a small store could otherwise fill the memory. */
const MOST_RANGES = 2 ** 20;

export interface DiffRequest {
  guest: string;
  /** The two snapshots, each as `chooseSnapshot` accepts it. */
  from: string;
  to: string;
}

/** `added`: only the newer disk has data there. `removed`: only the older one has. */
export type Difference = 'changed' | 'added' | 'removed';

export interface DifferentRange extends Extent {
  difference: Difference;
}

export interface DiskDiff {
  name: string;
  /** Null if that snapshot has no such disk. */
  fromBytes: number | null;
  toBytes: number | null;
  changedBytes: number;
  addedBytes: number;
  removedBytes: number;
  /** In whole chunks, ascending; neighbours of one kind are merged. */
  ranges: readonly DifferentRange[];
}

export interface DiffReport {
  type: 'diff';
  guest: string;
  /** Ids. */
  from: string;
  to: string;
  disks: readonly DiskDiff[];
}

/**
 * Compares two snapshots of a guest by their chunk maps. Reads only the pages that differ, and no data. Throws what choosing a
 * snapshot throws, Failure `store-damaged` for a missing page, and `resources-short` if there are too many differences.
 */
export async function diffSnapshots(
  { guest, from: fromWhen, to: toWhen }: DiffRequest,
  session: ReadSession,
  context: Context,
): Promise<DiffReport> {
  const { folder, snapshots } = await readChosenSnapshots(guest, [fromWhen, toWhen], session, context);
  const [from, to] = snapshots;
  if (from === undefined || to === undefined) throw new Error('two snapshots were asked for');
  const pages = new PageReader(folder);
  const names = new Set([...from.disks, ...to.disks].map(({ name }) => name));
  const disks: DiskDiff[] = [];
  for (const name of names) {
    const before = from.disks.find((disk) => disk.name === name) ?? null;
    const after = to.disks.find((disk) => disk.name === name) ?? null;
    const room = MOST_RANGES - disks.reduce((sum, { ranges }) => sum + ranges.length, 0);
    disks.push(await diffDisk(name, { before, after, room }, pages, context.signal));
  }
  return { type: 'diff', guest, from: from.id, to: to.id, disks };
}

async function diffDisk(
  name: string,
  { before, after, room }: { before: SnapshotDisk | null; after: SnapshotDisk | null; room: number },
  pages: PageReader,
  signal: AbortSignal,
): Promise<DiskDiff> {
  if (before !== null && after !== null && before.chunkBytes !== after.chunkBytes)
    throw new Failure(
      'guest-unsupported',
      `${name} grew or shrank from ${before.sizeBytes} to ${after.sizeBytes} bytes, so its chunks have different sizes.`,
      { advice: 'Disks can be compared only if their chunks have the same size.' },
    );
  const collected = new Collected(emptyMap(before), emptyMap(after));
  const count = Math.max(before?.pages.length ?? 0, after?.pages.length ?? 0);
  const idsOf = (page: number) => [before?.pages[page] ?? null, after?.pages[page] ?? null] as const;
  // Pages with the same id are equal.
  const different = Array.from({ length: count }, (_, page) => page).filter((page) => {
    const [old, now] = idsOf(page);
    return old !== now;
  });
  const texts = mapOrdered(different, PAGES_AT_ONCE, async (page) => {
    const [old, now] = idsOf(page);
    return {
      page,
      old: await readPage(old, name, pages, signal),
      now: await readPage(now, name, pages, signal),
    };
  });
  for await (const { page, old, now } of texts) {
    collected.addPage(page, old, now);
    if (collected.ranges.length > room) throw tooManyRanges();
  }
  const { changed: changedBytes, added: addedBytes, removed: removedBytes } = collected.bytes;
  const sizes = { fromBytes: before?.sizeBytes ?? null, toBytes: after?.sizeBytes ?? null };
  return { name, ...sizes, changedBytes, addedBytes, removedBytes, ranges: collected.ranges };
}

function tooManyRanges(): Failure {
  return new Failure(
    'resources-short',
    `These snapshots differ in more than ${MOST_RANGES} ranges, which is the limit.`,
    { advice: 'Compare snapshots that are closer to each other in time.' },
  );
}

/** An empty map of the disk's size; of size 0 without a disk. */
function emptyMap(disk: SnapshotDisk | null): ChunkMap {
  return new ChunkMap(chunkGridFor(disk?.sizeBytes ?? 0));
}

/** The text of a page; empty without an id. */
async function readPage(
  id: string | null,
  diskName: string,
  pages: PageReader,
  signal: AbortSignal,
): Promise<string> {
  const text = id === null ? '' : await pages.read(id, signal);
  if (text !== null) return text;
  throw new Failure('store-damaged', `A page of the chunk map of ${diskName} is missing or damaged.`, {
    advice: 'To find other damage: vmferry verify STORE',
  });
}

/** Collects differences, by ascending position. */
class Collected {
  readonly bytes: Record<Difference, number> = { changed: 0, added: 0, removed: 0 };
  readonly ranges: DifferentRange[] = [];
  readonly #before: ChunkMap;
  readonly #after: ChunkMap;

  constructor(before: ChunkMap, after: ChunkMap) {
    this.#before = before;
    this.#after = after;
  }

  addPage(page: number, before: string, after: string): void {
    readPageText(before, page, this.#before);
    readPageText(after, page, this.#after);
    const end = (page + 1) * POSITIONS_PER_PAGE;
    for (let position = page * POSITIONS_PER_PAGE; position < end; position++) {
      const old = idAt(this.#before, position);
      const now = idAt(this.#after, position);
      if (old === null && now === null) continue;
      if (old === null) this.#add('added', position, this.#after.grid);
      else if (now === null) this.#add('removed', position, this.#before.grid);
      else if (Buffer.compare(old, now) !== 0) this.#add('changed', position, this.#after.grid);
    }
  }

  #add(difference: Difference, position: number, grid: ChunkGrid): void {
    const offset = position * grid.chunkBytes;
    const length = chunkLength(grid, position);
    this.bytes[difference] += length;
    const last = this.ranges.at(-1);
    const continues = last?.difference === difference && last.offset + last.length === offset;
    if (continues) last.length += length;
    else this.ranges.push({ offset, length, difference });
  }
}

function idAt(map: ChunkMap, position: number): Uint8Array | null {
  return position < map.grid.chunkCount ? map.get(position) : null;
}

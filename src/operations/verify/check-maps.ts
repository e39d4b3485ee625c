import { createHash, type Hash } from 'node:crypto';
import { chunkGridFor, chunkLength, type ChunkGrid } from '../../chunk/chunk-grid.ts';
import { noChunkId } from '../../chunk/chunk-id.ts';
import { ChunkMap, chunkMapText } from '../../chunk/chunk-map.ts';
import { Failure } from '../../failure.ts';
import { mergeTouching, totalLength, type Extent } from '../../extent/extents.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { POSITIONS_PER_PAGE, readPageText } from '../../repository/chunk-index/chunk-map-page.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';
import { FoundDamage, type MapDamage } from './map-damage.ts';

const PAGES_AT_ONCE = 8;

/** A disk of a snapshot whose map is checked. */
export interface MapUnderCheck {
  snapshot: string;
  disk: SnapshotDisk;
}

/**
 * Looks up a chunk.
 * @param id 32 bytes
 * @param length plain bytes of the chunk at this place of the image
 */
export type ChunkCheck = (id: Uint8Array, length: number) => ChunkFinding;

export interface ChunkFinding {
  isThere: boolean;
  /** When the pack that has it was last read, in ms since 1970; null: never, or the chunk is missing. */
  readMs: number | null;
}

export interface CheckedMap extends MapUnderCheck, MapFinding {}

interface MapFinding {
  damage: MapDamage;
  /** The earliest last reading of its packs; null: some were never read; Infinity: it needs no pack. */
  readMs: number | null;
  /** All pages are sound, but the map's fingerprint is not the one in the manifest. */
  isOtherMap: boolean;
}

/** Called for each page that is missing or damaged. */
export type OnDamagedPage = (id: string, failure: Failure) => void;

/**
 * Checks the chunk maps of many snapshots together, page by page: a shared page is read once, and no whole map is in memory.
 * Disks with equal maps are checked as one.
 */
export async function checkMaps(
  folder: GuestReader,
  maps: readonly MapUnderCheck[],
  checkChunk: ChunkCheck,
  onDamagedPage: OnDamagedPage,
  signal: AbortSignal,
): Promise<CheckedMap[]> {
  const distinct = new Map<string, MapInProgress>();
  const progress = maps.map((map) => {
    const key = keyOf(map.disk);
    const one = distinct.get(key) ?? begin(map.disk);
    distinct.set(key, one);
    return { map, one };
  });
  const pages = mapOrdered(distinctPages([...distinct.values()]), PAGES_AT_ONCE, async (page) => ({
    ...page,
    text: await readPage(folder, page.id, signal),
  }));
  for await (const { id, number, users, text } of pages) {
    signal.throwIfAborted();
    const [{ grid }] = users;
    const finding = text instanceof Failure ? text : checkPage(text, number, grid, checkChunk);
    if (finding instanceof Failure) onDamagedPage(id, finding);
    const bytes = Buffer.from(text instanceof Failure ? '' : text);
    for (const user of users) addPage(user, number, bytes, finding);
  }
  return progress.map(({ map, one }) => ({ ...map, ...(one.finding ??= finish(one)) }));
}

/** Equal for disks with equal maps. */
function keyOf({ sizeBytes, fingerprint, pages }: SnapshotDisk): string {
  return createHash('sha256')
    .update(`${sizeBytes} ${fingerprint} ${pages.join(' ')}`)
    .digest('base64');
}

interface MapInProgress {
  disk: SnapshotDisk;
  grid: ChunkGrid;
  /** Null after a page was missing or damaged. */
  hash: Hash | null;
  damage: FoundDamage;
  readMs: number | null;
  finding: MapFinding | null;
}

interface SharedPage {
  id: string;
  number: number;
  /** Disks of one size: what a page may contain depends on it. */
  users: [MapInProgress, ...MapInProgress[]];
}

interface PageFinding {
  damaged: readonly Extent[];
  damagedBytes: number;
  readMs: number | null;
}

function begin(disk: SnapshotDisk): MapInProgress {
  const grid = chunkGridFor(disk.sizeBytes);
  const hash = createHash('sha256');
  // The text of a map without positions is only the header.
  for (const header of chunkMapText(new ChunkMap({ ...grid, chunkCount: 0 }))) hash.update(header);
  return { disk, grid, hash, damage: new FoundDamage(), readMs: Infinity, finding: null };
}

/** All pages, by number. A page that disks of one size share at the same place comes once. */
function* distinctPages(maps: readonly MapInProgress[]): Generator<SharedPage> {
  const mostPages = maps.reduce((most, { disk }) => Math.max(most, disk.pages.length), 0);
  for (let number = 0; number < mostPages; number++) {
    const users = new Map<string, SharedPage>();
    for (const map of maps) {
      const id = map.disk.pages[number] ?? null;
      if (id === null) continue;
      const key = `${id} ${map.disk.sizeBytes}`;
      const page = users.get(key);
      if (page === undefined) users.set(key, { id, number, users: [map] });
      else page.users.push(map);
    }
    yield* users.values();
  }
}

async function readPage(folder: GuestReader, id: string, signal: AbortSignal): Promise<string | Failure> {
  try {
    return await folder.readPage(id, signal);
  } catch (error) {
    if (error instanceof Failure && error.code === 'store-damaged') return error;
    throw error;
  }
}

function checkPage(
  text: string,
  number: number,
  grid: ChunkGrid,
  checkChunk: ChunkCheck,
): PageFinding | Failure {
  const end = Math.min(grid.chunkCount, (number + 1) * POSITIONS_PER_PAGE);
  const map = scratchMap(grid);
  try {
    readPageText(text, number, map);
    const damaged: Extent[] = [];
    let readMs: number | null = Infinity;
    for (let position = number * POSITIONS_PER_PAGE; position < end; position++) {
      const id = map.get(position);
      if (id === null) continue;
      const length = chunkLength(grid, position);
      const chunk = checkChunk(id, length);
      readMs = older(readMs, chunk.readMs);
      if (!chunk.isThere) damaged.push({ offset: position * grid.chunkBytes, length });
    }
    return { damaged: [...mergeTouching(damaged)], damagedBytes: totalLength(damaged), readMs };
  } catch (error) {
    if (error instanceof Failure && error.code === 'store-damaged') return error;
    throw error;
  } finally {
    for (let position = number * POSITIONS_PER_PAGE; position < end; position++) map.set(position, noChunkId);
  }
}

let scratch: ChunkMap | null = null;

/** An empty map, reused for all pages of disks of one size. */
function scratchMap(grid: ChunkGrid): ChunkMap {
  if (scratch?.grid.imageBytes !== grid.imageBytes) scratch = new ChunkMap(grid);
  return scratch;
}

function addPage(map: MapInProgress, number: number, text: Uint8Array, finding: PageFinding | Failure): void {
  if (finding instanceof Failure) {
    map.hash = null;
    map.readMs = null;
    map.damage.add([extentOfPage(map.grid, number)]);
    return;
  }
  map.hash?.update(text);
  map.readMs = older(map.readMs, finding.readMs);
  map.damage.add(finding.damaged, finding.damagedBytes);
}

function extentOfPage({ chunkBytes, imageBytes }: ChunkGrid, number: number): Extent {
  const offset = number * POSITIONS_PER_PAGE * chunkBytes;
  return { offset, length: Math.min(POSITIONS_PER_PAGE * chunkBytes, imageBytes - offset) };
}

function finish({ disk, grid, hash, damage, readMs }: MapInProgress): MapFinding {
  const isOtherMap = hash !== null && `sha256:${hash.digest('hex')}` !== disk.fingerprint;
  if (isOtherMap) {
    damage = new FoundDamage();
    damage.add([{ offset: 0, length: grid.imageBytes }]);
  }
  return { damage, readMs: damage.bytes > 0 ? null : readMs, isOtherMap };
}

/** The earlier of two times; null is the earliest. */
function older(first: number | null, second: number | null): number | null {
  return first === null || second === null ? null : Math.min(first, second);
}

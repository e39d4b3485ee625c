import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { POSITIONS_PER_PAGE, readPageText } from '../../repository/chunk-index/chunk-map-page.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';
import { trashed, type TrashedObject } from '../../repository/trash/trash.ts';

const PAGES_AT_ONCE = 8;

/** Reads pages of chunk maps, from the trash if they are there. */
export class PageReader {
  readonly #folder: GuestReader;
  #trash: Promise<Map<string, TrashedObject>> | null = null;

  constructor(folder: GuestReader) {
    this.#folder = folder;
  }

  /** A page's text; null if it is missing or damaged. */
  async read(id: string, signal: AbortSignal): Promise<string | null> {
    try {
      return await this.#folder.readPage(id, signal);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    this.#trash ??= trashed(this.#folder, 'maps', signal);
    const name = (await this.#trash).get(id)?.name;
    try {
      return name === undefined ? null : await this.#folder.readText('maps', { id, name }, signal);
    } catch (error) {
      if (!isDamage(error)) throw error;
      return null;
    }
  }
}

/** A disk's chunk map, as far as the store still has it. */
export interface StoredMap {
  map: ChunkMap;
  /** Positions whose content is unknown, ascending; empty in the map. */
  lost: number[];
}

/** Throws Failure `store-damaged` for a complete map that does not match the manifest. */
export async function readStoredMap(
  disk: SnapshotDisk,
  pages: PageReader,
  signal: AbortSignal,
): Promise<StoredMap> {
  const map = new ChunkMap(chunkGridFor(disk.sizeBytes));
  const lost: number[] = [];
  const texts = mapOrdered(disk.pages.entries(), PAGES_AT_ONCE, async ([page, id]) => ({
    page,
    text: id === null ? '' : await pages.read(id, signal),
  }));
  for await (const { page, text } of texts) {
    if (text !== null) readPageText(text, page, map);
    else lost.push(...positionsOfPage(page, map.grid.chunkCount));
  }
  if (lost.length === 0 && map.fingerprint() !== disk.fingerprint)
    throw new Failure('store-damaged', `The chunk map of ${disk.name} does not match its fingerprint.`, {
      advice: 'Restore another snapshot: vmferry list STORE shows them.',
    });
  return { map, lost };
}

function positionsOfPage(page: number, chunkCount: number): number[] {
  const first = page * POSITIONS_PER_PAGE;
  const count = Math.min(POSITIONS_PER_PAGE, chunkCount - first);
  return Array.from({ length: count }, (_, index) => first + index);
}

function isDamage(error: unknown): boolean {
  return error instanceof Failure && (error.code === 'store-damaged' || error.code === 'target-missing');
}

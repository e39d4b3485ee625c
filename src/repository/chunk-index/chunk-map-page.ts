import type { ChunkGrid } from '../../chunk/chunk-grid.ts';
import { isHexId } from '../../chunk/chunk-id.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import { Failure } from '../../failure.ts';

/** Positions in a page of a chunk map (doc/store.md). */
export const POSITIONS_PER_PAGE = 4096;
/** A line is a position of at most seven digits, a space, 64 digits and a line feed. */
export const PAGE_LIMIT_BYTES = POSITIONS_PER_PAGE * 80;

export function pageCount(grid: ChunkGrid): number {
  return Math.ceil(grid.chunkCount / POSITIONS_PER_PAGE);
}

/** The text of one page: the map's lines for its positions; empty if there are none. */
export function pageText(map: ChunkMap, page: number): string {
  const end = Math.min(map.grid.chunkCount, (page + 1) * POSITIONS_PER_PAGE);
  let text = '';
  for (let position = page * POSITIONS_PER_PAGE; position < end; position++) {
    const id = map.get(position);
    if (id !== null) text += `${position} ${Buffer.from(id).toString('hex')}\n`;
  }
  return text;
}

/** Puts a page's chunks into the map. Throws Failure `store-damaged` if the text is not that of this page. */
export function readPageText(text: string, page: number, map: ChunkMap): void {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw damaged(page);
  let last = page * POSITIONS_PER_PAGE - 1;
  const end = Math.min(map.grid.chunkCount, (page + 1) * POSITIONS_PER_PAGE);
  for (const line of lines) {
    const [, digits = '', id = ''] = /^(0|[1-9][0-9]{0,6}) ([0-9a-f]{64})$/.exec(line) ?? [];
    const position = digits === '' ? -1 : Number(digits);
    if (!isHexId(id) || position <= last || position >= end) throw damaged(page);
    map.set(position, Buffer.from(id, 'hex'));
    if (map.get(position) === null) throw damaged(page);
    last = position;
  }
}

function damaged(page: number): Failure {
  return new Failure('store-damaged', `Page ${page} of a chunk map is damaged.`);
}

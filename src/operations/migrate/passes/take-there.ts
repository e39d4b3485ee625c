import { chunkLength, type ChunkGrid } from '../../../chunk/chunk-grid.ts';
import { rowAt, rowsOf, type ChunkList } from '../../../chunk/chunk-list.ts';
import type { ChunkPlace } from '../../../chunk/placed-chunks.ts';
import { Failure } from '../../../failure.ts';
import { MOST_TAKEN, type TakenFrom } from '../../../wire/messages.ts';
import type { ChunksThere, DiskThere } from './chunks-there.ts';

/** Plain bytes in one message, so that progress is seen. */
const MESSAGE_BYTES = 64 * 2 ** 20;

interface WantedChunk {
  position: number;
  from: number;
  id: Uint8Array;
}

/**
 * Has the new hardware take chunks of a disk from other disks there. Returns the positions of those that it could not take. Throws Failure
 * `protocol-violation`, and what the line throws.
 */
export async function takeThere(
  wanted: ChunkList,
  disk: DiskThere,
  grid: ChunkGrid,
  chunksThere: ChunksThere,
  signal: AbortSignal,
): Promise<Set<number>> {
  const { receiver, number, path } = disk;
  const lacking = new Set<number>();
  for (const [source, rows] of bySource(wanted, chunksThere)) {
    const from = chunksThere.sourceFor(receiver, source);
    if (from === null) throw new Error('a disk that cannot be read there');
    const most = Math.min(MOST_TAKEN, Math.max(1, Math.floor(MESSAGE_BYTES / grid.chunkBytes)));
    for (let first = 0; first < rows.length; first += most) {
      const some = rows.slice(first, first + most).map((row) => wantedChunk(wanted, row, chunksThere));
      const without = await take(some, from);
      for (const position of without) lacking.add(position);
      const taken = some.filter(({ position }) => !lacking.has(position));
      chunksThere.noteTaken(
        path,
        taken.reduce((sum, { position }) => sum + chunkLength(grid, position), 0),
      );
    }
  }
  return lacking;

  async function take(chunks: readonly WantedChunk[], from: TakenFrom): Promise<number[]> {
    const ids = Buffer.concat(chunks.map(({ id }) => id)).toString('base64');
    const message = { type: 'take', disk: number, from, runs: runsOf(chunks), ids } as const;
    const taken = await receiver.request(message, 'taken', signal);
    const asked = new Set(chunks.map(({ position }) => position));
    const positions = taken.lacking.flatMap(([start, count]) =>
      Array.from({ length: Math.min(count, MOST_TAKEN) }, (_, index) => start + index),
    );
    if (!positions.every((position) => asked.has(position)))
      throw new Failure(
        'protocol-violation',
        `${receiver.machine.name} lacks chunks that it was not asked for.`,
      );
    return positions;
  }
}

/** Their rows, by the number of the disk that has them; in each the order stays. Numbers only: there may be many. */
function bySource(wanted: ChunkList, chunksThere: ChunksThere): Map<number, number[]> {
  const found = new Map<number, number[]>();
  let row = 0;
  for (const { id } of rowsOf(wanted)) {
    const { disk } = placeOf(id, chunksThere);
    const others = found.get(disk);
    if (others === undefined) found.set(disk, [row]);
    else others.push(row);
    row++;
  }
  return found;
}

function wantedChunk(wanted: ChunkList, row: number, chunksThere: ChunksThere): WantedChunk {
  const { position, id } = rowAt(wanted, row);
  return { position, from: placeOf(id, chunksThere).position, id };
}

function placeOf(id: Uint8Array, chunksThere: ChunksThere): ChunkPlace {
  const place = chunksThere.placeOf(id);
  if (place === null) throw new Error('a chunk of no disk');
  return place;
}

/** Chunks that lie side by side on both disks are one run. */
function runsOf(chunks: readonly WantedChunk[]): [number, number, number][] {
  const runs: [number, number, number][] = [];
  for (const { position, from } of chunks) {
    const last = runs.at(-1);
    if (last !== undefined && position === last[0] + last[2] && from === last[1] + last[2]) last[2]++;
    else runs.push([position, from, 1]);
  }
  return runs;
}

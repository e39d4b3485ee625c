import { touchedChunks } from '../chunk/chunk-marks.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import { isSameUsage } from '../chunk/chunk-usage.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import type { Extent } from '../extent/extents.ts';
import { unchangedAmong, type UnchangedChunks } from './unchanged-chunks.ts';

/** A disk as it was captured earlier, and all that was written to it since. */
export interface EarlierCapture {
  map: ChunkMap;
  /** `chunkUsage` of the disk as it was. */
  usage: Uint8Array;
  written: Iterable<Extent>;
}

/**
 * The chunks of a disk whose ids are those of an earlier capture: nothing was written to them, and the same bytes of them are in use
 * (doc/second-pass.md). The ids of all others are removed from the earlier map.
 * @param now the disk as it is captured: what is in use of it, and `chunkUsage` of that
 */
export function unwrittenChunks(
  now: { used: Iterable<Extent>; usage: Uint8Array },
  { map, usage, written }: EarlierCapture,
  known: KnownChunks,
): Pick<UnchangedChunks, 'map' | 'marks' | 'count'> {
  const changed = touchedChunks(written, map.grid);
  for (let position = 0; position < changed.length; position++)
    if (!isSameUsage(usage, now.usage, position)) changed[position] = 1;
  return unchangedAmong(map, { used: touchedChunks(now.used, map.grid), changed }, known);
}

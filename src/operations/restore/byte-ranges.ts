import { chunkLength } from '../../chunk/chunk-grid.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import { totalLength, type Extent } from '../../extent/extents.ts';

/** `65536-131071`, as first and last byte. */
export function rangeText({ offset, length }: Extent): string {
  return `${offset}-${offset + length - 1}`;
}

/** `131072 of 1048576 bytes of web.img: 65536-131071, 196608-262143`; at most `most` ranges are listed. */
export function missingText(
  name: string,
  sizeBytes: number,
  ranges: readonly Extent[],
  most: number,
): string {
  const shown = ranges.slice(0, most).map(rangeText).join(', ');
  const others = ranges.length > most ? `, and ${ranges.length - most} more ranges` : '';
  return `${totalLength(ranges)} of ${sizeBytes} bytes of ${name}: ${shown}${others}`;
}

/** Plain bytes of a map's chunks that are not empty. */
export function plainBytesOf(map: ChunkMap): number {
  let bytes = 0;
  for (let position = 0; position < map.grid.chunkCount; position++)
    if (map.get(position) !== null) bytes += chunkLength(map.grid, position);
  return bytes;
}

import { hash } from 'node:crypto';
import type { Extent } from '../extent/extents.ts';
import { chunkLength, type ChunkGrid } from './chunk-grid.ts';

/** For each chunk. */
export const USAGE_BYTES = 8;

/**
 * For each chunk 8 bytes that tell which of its bytes are in use: all zero for none, all ones for a whole chunk, otherwise the
 * beginning of the SHA-256 of their ranges. Equal for the same bytes, and otherwise different but for a chance of 2⁻⁶⁴. At most 8 MiB.
 * @param used sorted, disjoint, not touching
 */
export function chunkUsage(used: Iterable<Extent>, grid: ChunkGrid): Uint8Array {
  const usage = new Uint8Array(grid.chunkCount * USAGE_BYTES);
  const put = (position: number, value: Uint8Array) => usage.set(value, position * USAGE_BYTES);
  let partly = { position: -1, ranges: '' };
  const flush = (): void => {
    if (partly.ranges === '') return;
    put(partly.position, hash('sha256', partly.ranges, 'buffer').subarray(0, USAGE_BYTES));
    partly = { position: -1, ranges: '' };
  };
  for (const { offset, length } of used) {
    const end = offset + length;
    for (let from = offset; from < end;) {
      const position = Math.floor(from / grid.chunkBytes);
      const start = position * grid.chunkBytes;
      const chunkEnd = start + chunkLength(grid, position);
      const to = Math.min(end, chunkEnd);
      if (position !== partly.position) flush();
      if (from === start && to === chunkEnd) put(position, WHOLE);
      else partly = { position, ranges: `${partly.ranges}${from - start}-${to - start} ` };
      from = to;
    }
  }
  flush();
  return usage;
}

const WHOLE = new Uint8Array(USAGE_BYTES).fill(0xff);

/** Whether the same bytes of the chunk at this position are in use in both. */
export function isSameUsage(one: Uint8Array, other: Uint8Array, position: number): boolean {
  for (let byte = position * USAGE_BYTES; byte < (position + 1) * USAGE_BYTES; byte++)
    if (one[byte] !== other[byte]) return false;
  return true;
}

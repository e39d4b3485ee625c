import {
  FORMAT_TEXT,
  memberBytes,
  TABLE_LIMIT_BYTES,
  TAR_BLOCK_BYTES,
  TAR_END_BYTES,
} from '../../pack/pack-format.ts';
import { isFrameSize, LARGEST_CHUNK_BYTES } from '../../chunk/chunk-grid.ts';
import { SEAL_OVERHEAD_BYTES } from '../../seal/encrypted-seal.ts';
import type { FrameChunks, IndexedFrame, IndexedPack } from './chunk-index.ts';

/** A row of a frame's table is `POSITION ID LENGTH`: 1 to 16 digits, 64 digits, the length's digits, two blanks and a line feed. */
const SHORTEST_ROW_BYTES = 1 + 64 + 3;
const LONGEST_ROW_BYTES = 16 + 64 + 3;
/** More than zstd and a seal ever add to a frame. */
const FRAME_EXTRA_BYTES = 64 * 1024;

/**
 * Whether an index's entry for a pack is possible by doc/formats.md: members follow each other without gaps
 * and fill the file. The pack itself is not read, so some wrong indexes pass.
 */
export function isPlausiblePack({ sizeBytes, frames }: Pick<IndexedPack, 'sizeBytes' | 'frames'>): boolean {
  let endBytes = memberBytes(FORMAT_TEXT.length);
  for (const frame of frames) {
    if (!isPlausibleFrame(frame)) return false;
    const [least, most] = tableBytes(frame.chunks);
    const gapBytes = frame.offsetBytes - endBytes - TAR_BLOCK_BYTES;
    if (gapBytes % TAR_BLOCK_BYTES !== 0 || gapBytes < memberBytes(least) || gapBytes > memberBytes(most))
      return false;
    endBytes = frame.offsetBytes - TAR_BLOCK_BYTES + memberBytes(frame.sizeBytes);
  }
  return endBytes + TAR_END_BYTES === sizeBytes;
}

/** Whether a frame of this size can hold these chunks. */
export function isPlausibleFrame({ sizeBytes, chunks }: Omit<IndexedFrame, 'offsetBytes'>): boolean {
  const count = chunks.lengths.length;
  const plainBytes = chunks.lengths.reduce((sum, length) => sum + length, 0);
  return (
    count > 0 &&
    isFrameSize(count, plainBytes) &&
    plainBytes <= LARGEST_CHUNK_BYTES &&
    sizeBytes <= 2 * plainBytes + FRAME_EXTRA_BYTES
  );
}

/** The least and the most bytes of a frame's table, sealed or not. */
function tableBytes({ lengths }: FrameChunks): [least: number, most: number] {
  const digits = lengths.reduce((sum, length) => sum + String(length).length, 0);
  const most = lengths.length * LONGEST_ROW_BYTES + digits + SEAL_OVERHEAD_BYTES;
  return [lengths.length * SHORTEST_ROW_BYTES + digits, Math.min(most, TABLE_LIMIT_BYTES)];
}

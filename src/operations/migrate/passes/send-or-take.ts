import { extentsInChunks } from '../../../chunk/chunk-marks.ts';
import { rowsOf } from '../../../chunk/chunk-list.ts';
import type { Extent } from '../../../extent/extents.ts';
import { leave, look, sendDifferences, type DifferencePass } from '../../../transfer/differing-chunks.ts';
import type { Sending } from '../../../transfer/send-packs.ts';
import type { SendProgress } from '../../../transfer/send-progress.ts';
import type { ChunksThere, DiskThere } from './chunks-there.ts';
import { takeThere } from './take-there.ts';

export interface SharingPass extends Omit<DifferencePass, 'extents' | 'elsewhere' | 'progress'> {
  /** What is read. Called again for chunks that turn out to be lacking there. */
  extents: () => Iterable<Extent>;
  disk: DiskThere;
  progress: SendProgress;
  /** Null: everything is sent. */
  chunksThere: ChunksThere | null;
}

/**
 * Sends the chunks that differ from what the new hardware has of the disk, but has it take those that its other disks have. Returns the positions
 * that it has to empty.
 */
export async function sendOrTake(
  { disk, chunksThere, extents, ...pass }: SharingPass,
  sending: Sending,
  signal: AbortSignal,
): Promise<number[]> {
  const elsewhere = chunksThere?.knownBeside(disk) ?? null;
  const first = await sendDifferences({ ...pass, extents: extents(), elsewhere }, sending, signal);
  if (chunksThere === null || first.elsewhere.positions.length === 0) return first.emptied;
  const { there } = pass;
  const lacking = await takeThere(first.elsewhere, disk, there.grid, chunksThere, signal);
  for (const { position, id } of rowsOf(first.elsewhere)) if (!lacking.has(position)) there.set(position, id);
  if (lacking.size === 0) return first.emptied;
  const rest = {
    ...pass,
    marks: Uint8Array.from(pass.marks, (_, position) => (lacking.has(position) ? look : leave)),
    progress: pass.progress.again,
    extents: extentsInChunks(extents(), there.grid, (position) => lacking.has(position)),
  };
  const second = await sendDifferences(rest, sending, signal);
  return [...first.emptied, ...second.emptied].toSorted((one, other) => one - other);
}

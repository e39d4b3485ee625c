import type { Extent } from '../../extent/extents.ts';
import type { ReadAt } from '../source/read-at.ts';
import { findGpt, readGptPartitions } from './gpt.ts';
import { MBR_BYTES, readMbr, readMbrPartitions } from './mbr.ts';
import { NotUnderstood } from './not-understood.ts';

export type PartitionTable =
  /** No signature of a table, or a boot sector without entries. */
  | { kind: 'none' }
  /** Sorted and disjoint. */
  | { kind: 'mbr' | 'gpt'; partitions: Extent[] }
  /** The table contradicts itself or the size of the disk. */
  | { kind: 'not-understood'; reason: string };

/** The type of the MBR entry on a disk with a GPT. */
const PROTECTIVE = 0xee;

/** Reads the table at the start of something that may be a disk, of `sizeBytes` bytes. */
export function readPartitionTable(read: ReadAt, sizeBytes: number): PartitionTable {
  try {
    const mbr = sizeBytes < MBR_BYTES ? null : readMbr(read, 0);
    const gpt = findGpt(read, sizeBytes);
    if (gpt === null) {
      if (mbr === null) return { kind: 'none' };
      if (mbr.some(({ type }) => type === PROTECTIVE))
        throw new NotUnderstood('its GPT partition table is missing or damaged');
      return { kind: 'mbr', partitions: readMbrPartitions(read, sizeBytes, mbr) };
    }
    if (mbr === null || mbr.some(({ type }) => type !== PROTECTIVE))
      throw new NotUnderstood('its MBR and its GPT partition tables disagree');
    return { kind: 'gpt', partitions: readGptPartitions(read, sizeBytes, gpt) };
  } catch (error) {
    if (error instanceof NotUnderstood) return { kind: 'not-understood', reason: error.message };
    throw error;
  }
}

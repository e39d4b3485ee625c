import type { Extent } from '../../extent/extents.ts';
import type { ReadAt } from '../source/read-at.ts';
import { NotUnderstood, checkDisjoint } from './not-understood.ts';

/* MBR with logical partitions. Source: Linux, block/partitions/msdos.c. All numbers are little-endian. */

export const MBR_BYTES = 512;
/** Logical partitions that are followed before the table counts as broken. */
const LOGICAL_LIMIT = 128;
const extendedTypes = new Set([0x05, 0x0f, 0x85]);

export interface MbrEntry {
  type: number;
  firstSector: number;
  sectorCount: number;
}

/** The entries in use of a boot record; null when there is no boot record, or one without entries. */
export function readMbr(read: ReadAt, at: number): MbrEntry[] | null {
  const sector = read(at, MBR_BYTES);
  const fields = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  if (fields.getUint16(510, true) !== 0xaa55) return null;
  const entries: MbrEntry[] = [];
  for (let offset = 446; offset < 510; offset += 16) {
    // A boot loader may have code here. Linux recognises a table by this flag, too: it is 0 or 0x80 there.
    if (((sector[offset] ?? 0) & 0x7f) !== 0) return null;
    const entry = {
      type: sector[offset + 4] ?? 0,
      firstSector: fields.getUint32(offset + 8, true),
      sectorCount: fields.getUint32(offset + 12, true),
    };
    if (entry.type !== 0 && entry.sectorCount !== 0) entries.push(entry);
  }
  return entries.length === 0 ? null : entries;
}

/** Throws NotUnderstood. */
export function readMbrPartitions(read: ReadAt, sizeBytes: number, entries: MbrEntry[]): Extent[] {
  const toExtent = ({ firstSector, sectorCount }: MbrEntry): Extent => ({
    offset: firstSector * 512,
    length: sectorCount * 512,
  });
  checkDisjoint(entries.map(toExtent), { offset: 512, length: sizeBytes - 512 });
  const partitions: Extent[] = [];
  for (const entry of entries) {
    if (extendedTypes.has(entry.type)) partitions.push(...readLogical(read, toExtent(entry)));
    else partitions.push(toExtent(entry));
  }
  return partitions.toSorted((first, second) => first.offset - second.offset);
}

/** Follows the chain of extended boot records: each holds one partition, and the place of the next record. */
function readLogical(read: ReadAt, container: Extent): Extent[] {
  const partitions: Extent[] = [];
  const records: Extent[] = [];
  for (let record: number | null = container.offset; record !== null;) {
    if (records.length >= LOGICAL_LIMIT) throw new NotUnderstood('it has too many logical partitions');
    // `checkDisjoint` then finds loops: two records at the same place overlap.
    records.push({ offset: record, length: 512 });
    checkDisjoint([...records, ...partitions], container);
    const entries: MbrEntry[] = readMbr(read, record) ?? [];
    let next: number | null = null;
    for (const { type, firstSector, sectorCount } of entries) {
      if (!extendedTypes.has(type))
        partitions.push({ offset: record + firstSector * 512, length: sectorCount * 512 });
      else if (next === null) next = container.offset + firstSector * 512;
      else throw new NotUnderstood('its chain of logical partitions branches');
    }
    record = next;
  }
  checkDisjoint([...records, ...partitions], container);
  return partitions;
}

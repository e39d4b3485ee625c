import { crc32 } from '../../codec/crc.ts';
import type { Extent } from '../../extent/extents.ts';
import type { ReadAt } from '../source/read-at.ts';

/*
 * Partition tables: MBR with logical partitions, and GPT. Sources: UEFI specification 2.10, chapter 5; Linux,
 * block/partitions/{msdos,efi}.c. All numbers are little-endian.
 */

export type PartitionTable =
  /** No table here: no signature, or a boot sector without entries. */
  | { kind: 'none' }
  | { kind: 'mbr' | 'gpt'; partitions: Extent[] }
  /** There is one, but it contradicts itself or the size of the disk. */
  | { kind: 'not-understood'; reason: string };

const MBR_BYTES = 512;
/** Logical partitions that are followed before the table counts as broken. */
const LOGICAL_LIMIT = 128;
const PROTECTIVE = 0xee;
const extendedTypes = new Set([0x05, 0x0f, 0x85]);

class NotUnderstood extends Error {}

/** Reads the table at the start of a disk (or of what may be one). `sizeBytes` is the room. */
export function readPartitionTable(read: ReadAt, sizeBytes: number): PartitionTable {
  try {
    const mbr = sizeBytes < MBR_BYTES ? null : parseMbr(read(0, MBR_BYTES));
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

interface MbrEntry {
  type: number;
  firstSector: number;
  sectorCount: number;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The entries in use of a (possibly extended) boot record; null when it is none, or only a boot sector. */
function parseMbr(sector: Uint8Array): MbrEntry[] | null {
  const fields = view(sector);
  if (fields.getUint16(510, true) !== 0xaa55) return null;
  const entries: MbrEntry[] = [];
  for (let offset = 446; offset < 510; offset += 16) {
    // a boot loader's code reaches into this place, too; Linux tells it by the flag, which is 0 or 0x80 in a table
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

function readMbrPartitions(read: ReadAt, sizeBytes: number, entries: MbrEntry[]): Extent[] {
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

/** The chain of extended boot records: each holds one partition and the way to the next record. */
function readLogical(read: ReadAt, container: Extent): Extent[] {
  const partitions: Extent[] = [];
  const records: Extent[] = [];
  for (let record: number | null = container.offset; record !== null;) {
    if (records.length >= LOGICAL_LIMIT) throw new NotUnderstood('its logical partitions have no end');
    // two records at one place overlap: that is how a loop is noticed, at the latest
    records.push({ offset: record, length: 512 });
    checkDisjoint([...records, ...partitions], container);
    const entries: MbrEntry[] = parseMbr(read(record, MBR_BYTES)) ?? [];
    let next: number | null = null;
    for (const { type, firstSector, sectorCount } of entries) {
      if (!extendedTypes.has(type))
        partitions.push({ offset: record + firstSector * 512, length: sectorCount * 512 });
      else if (next === null) next = container.offset + firstSector * 512;
      else throw new NotUnderstood('its logical partitions branch');
    }
    record = next;
  }
  checkDisjoint([...records, ...partitions], container);
  return partitions;
}

function checkDisjoint(extents: readonly Extent[], room: Extent): void {
  let end = room.offset;
  for (const { offset, length } of extents.toSorted((first, second) => first.offset - second.offset)) {
    if (offset < end) throw new NotUnderstood('its partitions overlap each other or the table');
    end = offset + length;
  }
  if (end > room.offset + room.length) throw new NotUnderstood('its partitions reach beyond its end');
}

interface GptHeader {
  sectorBytes: number;
  fields: DataView;
}

/** A header that says it is one; looked for where disks of 512 and of 4096 bytes a sector have theirs. */
function findGpt(read: ReadAt, sizeBytes: number): GptHeader | null {
  for (const sectorBytes of [512, 4096]) {
    if (sizeBytes < 2 * sectorBytes) continue;
    const bytes = read(sectorBytes, 512);
    if (new TextDecoder('latin1').decode(bytes.subarray(0, 8)) === 'EFI PART')
      return { sectorBytes, fields: view(bytes) };
  }
  return null;
}

function readGptPartitions(read: ReadAt, sizeBytes: number, { sectorBytes, fields }: GptHeader): Extent[] {
  const sector = (offset: number): number => Number(fields.getBigUint64(offset, true));
  const headerBytes = fields.getUint32(12, true);
  if (headerBytes < 92 || headerBytes > 512) throw new NotUnderstood('its GPT header makes no sense');
  const header = new Uint8Array(fields.buffer, fields.byteOffset, headerBytes).slice();
  header.fill(0, 16, 20);
  if (crc32(header) !== fields.getUint32(16, true) || sector(24) !== 1)
    throw new NotUnderstood('the checksum of its GPT header is wrong');

  const entryCount = fields.getUint32(80, true);
  const entryBytes = fields.getUint32(84, true);
  if (entryBytes < 128 || entryBytes > 4096 || entryBytes % 8 !== 0 || entryCount > 4096)
    throw new NotUnderstood('its GPT header makes no sense');
  const tableOffset = sector(72) * sectorBytes;
  const tableBytes = entryCount * entryBytes;
  if (sector(72) < 2 || tableOffset + tableBytes > sizeBytes)
    throw new NotUnderstood('its GPT table lies beyond its end');
  const table = read(tableOffset, tableBytes);
  if (crc32(table) !== fields.getUint32(88, true))
    throw new NotUnderstood('the checksum of its GPT table is wrong');

  const partitions: Extent[] = [];
  for (let index = 0; index < entryCount; index++) {
    const entry = table.subarray(index * entryBytes, (index + 1) * entryBytes);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    const first = Number(view(entry).getBigUint64(32, true));
    const last = Number(view(entry).getBigUint64(40, true));
    if (last < first) throw new NotUnderstood('one of its partitions ends before it starts');
    partitions.push({ offset: first * sectorBytes, length: (last - first + 1) * sectorBytes });
  }
  const usable = { offset: sector(40) * sectorBytes, length: (sector(48) - sector(40) + 1) * sectorBytes };
  if (usable.offset < tableOffset + tableBytes && usable.offset + usable.length > tableOffset)
    throw new NotUnderstood('its GPT header makes no sense');
  checkDisjoint(partitions, usable);
  if (usable.offset + usable.length > sizeBytes)
    throw new NotUnderstood('its partitions reach beyond its end');
  return partitions.toSorted((first, second) => first.offset - second.offset);
}

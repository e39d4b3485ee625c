import { crc32 } from '../../codec/crc.ts';
import type { Extent } from '../../extent/extents.ts';
import type { ReadAt } from '../source/read-at.ts';
import { NotUnderstood, checkDisjoint } from './not-understood.ts';

/*
 * GPT. Sources: UEFI specification 2.10, chapter 5; Linux, block/partitions/efi.c. All numbers are little-endian.
 */

export interface GptHeader {
  sectorBytes: number;
  fields: DataView;
}

/** Finds the header of a disk with sectors of 512 or of 4096 bytes. Does not check it. */
export function findGpt(read: ReadAt, sizeBytes: number): GptHeader | null {
  for (const sectorBytes of [512, 4096]) {
    if (sizeBytes < 2 * sectorBytes) continue;
    const bytes = read(sectorBytes, 512);
    if (new TextDecoder('latin1').decode(bytes.subarray(0, 8)) === 'EFI PART')
      return { sectorBytes, fields: view(bytes) };
  }
  return null;
}

/** Throws NotUnderstood. */
export function readGptPartitions(
  read: ReadAt,
  sizeBytes: number,
  { sectorBytes, fields }: GptHeader,
): Extent[] {
  const sector = (offset: number): number => Number(fields.getBigUint64(offset, true));
  const headerBytes = fields.getUint32(12, true);
  if (headerBytes < 92 || headerBytes > 512) throw new NotUnderstood('its GPT header is not valid');
  const header = new Uint8Array(fields.buffer, fields.byteOffset, headerBytes).slice();
  header.fill(0, 16, 20);
  if (crc32(header) !== fields.getUint32(16, true) || sector(24) !== 1)
    throw new NotUnderstood('the checksum of its GPT header is wrong');

  const entryCount = fields.getUint32(80, true);
  const entryBytes = fields.getUint32(84, true);
  if (entryBytes < 128 || entryBytes > 4096 || entryBytes % 8 !== 0 || entryCount > 4096)
    throw new NotUnderstood('its GPT header is not valid');
  const tableOffset = sector(72) * sectorBytes;
  const tableBytes = entryCount * entryBytes;
  if (sector(72) < 2 || tableOffset + tableBytes > sizeBytes)
    throw new NotUnderstood('its GPT table reaches beyond the end of the disk');
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
    throw new NotUnderstood('its GPT header is not valid');
  checkDisjoint(partitions, usable);
  if (usable.offset + usable.length > sizeBytes)
    throw new NotUnderstood('its partitions reach beyond the end of the disk');
  return partitions.toSorted((first, second) => first.offset - second.offset);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

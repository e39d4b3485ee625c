import { withoutBacking, type ContainerFacts } from './container-facts.ts';
import { damagedHeader, fieldsAt, unsupportedImage, type Fields, type HeaderFile } from './header-file.ts';

/* VHDX: Microsoft, [MS-VHDX]. Numbers are little-endian; GUIDs are compared as they lie in the file. */

/** "vhdxfile" */
export const vhdxMagic = '7668647866696c65';

/** The region table, and a copy of it. */
const REGION_TABLES_AT = [192 * 1024, 256 * 1024] as const;
const REGION_SIGNATURE = 'regi';
const METADATA_SIGNATURE = 'metadata';
const ENTRY_BYTES = 32;
const MOST_ENTRIES = 2047;
const METADATA_REGION = '06a27c8b90479a4bb8fe575f050f886e';
const FILE_PARAMETERS = '3767a1ca36fa434db3b633f0aa44e76b';
const VIRTUAL_DISK_SIZE = '2442a52f1bcd7648b2115dbed83bf4b8';
const HAS_PARENT = 0b10;

export function readVhdx(file: HeaderFile): ContainerFacts {
  const metadataAt = findMetadata(file);
  const items = fieldsAt(file, metadataAt, 64 * 1024);
  if (items.latin1(0, 8) !== METADATA_SIGNATURE) throw damagedHeader(file.path);
  const count = Math.min(items.u16(10, 'little'), MOST_ENTRIES);
  const parameters = itemAt(file, metadataAt, items, count, FILE_PARAMETERS);
  if ((parameters.u32(4, 'little') & HAS_PARENT) !== 0)
    throw unsupportedImage(
      file.path,
      'is a differencing VHDX: it has only the differences from a parent image',
      'Merge it into its parent with Hyper-V (Merge-VHD), or convert the two into one.',
    );
  const size = itemAt(file, metadataAt, items, count, VIRTUAL_DISK_SIZE);
  return { sizeBytes: size.u64(0, 'little'), ...withoutBacking };
}

/** The offset of the metadata region in the file. */
function findMetadata(file: HeaderFile): number {
  for (const tableAt of REGION_TABLES_AT) {
    const table = fieldsAt(file, tableAt, 64 * 1024);
    if (table.latin1(0, 4) !== REGION_SIGNATURE) continue;
    const count = Math.min(table.u32(8, 'little'), MOST_ENTRIES);
    for (let index = 0; index < count; index++) {
      const at = 16 + index * ENTRY_BYTES;
      if (table.hex(at, 16) === METADATA_REGION) return table.u64(at + 16, 'little');
    }
  }
  throw damagedHeader(file.path);
}

/** The 8 bytes of an item of the metadata. */
function itemAt(file: HeaderFile, metadataAt: number, items: Fields, count: number, guid: string): Fields {
  for (let index = 0; index < count; index++) {
    const at = 32 + index * ENTRY_BYTES;
    if (items.hex(at, 16) === guid) return fieldsAt(file, metadataAt + items.u32(at + 16, 'little'), 8);
  }
  throw damagedHeader(file.path);
}

import { hasExtMagic, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from './identity.ts';
import { incompat, roCompat } from './features.ts';
import type { ReadAt } from '../../source/read-at.ts';

/** Enough for 16 TiB; a larger table is not read. */
const MOST_TABLE_BYTES = 64 * 2 ** 20;

/**
 * About how many bytes are in use in a mounted file system, by the counts of its block groups. They lag behind, and are
 * not checked. Null if they are not plausible. For estimates only.
 */
export function countedUsedBytes(read: ReadAt, regionBytes: number): number | null {
  const superblock = read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  if (!hasExtMagic(superblock)) return null;
  const fields = new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
  const features = fields.getUint32(0x60, true);
  const isWide = (features & incompat.has64bit) !== 0;
  const blockBytes = 1024 * 2 ** Math.min(fields.getUint32(0x18, true), 6);
  const bigalloc = (fields.getUint32(0x64, true) & roCompat.bigalloc) !== 0;
  const clusterBytes = bigalloc ? 1024 * 2 ** Math.min(fields.getUint32(0x1c, true), 20) : blockBytes;
  const blocks = fields.getUint32(0x4, true) + (isWide ? fields.getUint32(0x150, true) * 2 ** 32 : 0);
  const firstBlock = fields.getUint32(0x14, true);
  const groups = Math.ceil((blocks - firstBlock) / fields.getUint32(0x20, true));
  const descriptorBytes = isWide ? fields.getUint16(0xfe, true) : 32;
  const tableBytes = groups * descriptorBytes;
  const tableOffset = (Math.max(firstBlock, blockBytes === 1024 ? 1 : 0) + 1) * blockBytes;
  const isPlain = (features & incompat.metaBg) === 0 && descriptorBytes >= 32;
  if (!isPlain || !(tableBytes <= MOST_TABLE_BYTES && tableOffset + tableBytes <= regionBytes)) return null;
  const bytes = read(tableOffset, tableBytes);
  const table = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let freeClusters = 0;
  for (let at = 0; at < tableBytes; at += descriptorBytes)
    freeClusters +=
      table.getUint16(at + 0xc, true) +
      (descriptorBytes >= 64 ? table.getUint16(at + 0x2c, true) * 2 ** 16 : 0);
  const usedBytes = blocks * blockBytes - freeClusters * clusterBytes;
  return usedBytes >= 0 ? usedBytes : null;
}

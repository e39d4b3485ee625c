import type { ReadAt } from '../../source/read-at.ts';
import { incompat } from './features.ts';
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, hasErrors, hasExtMagic } from './identity.ts';

/** Whether it has a journal to replay. A file system that has recorded errors besides is not ours to repair. */
export function hasJournalToReplay(read: ReadAt, regionBytes: number): boolean {
  if (regionBytes < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) return false;
  const superblock = read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  const fields = new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
  const mustReplay = (fields.getUint32(0x60, true) & incompat.recover) !== 0;
  return hasExtMagic(superblock) && mustReplay && !hasErrors(fields);
}

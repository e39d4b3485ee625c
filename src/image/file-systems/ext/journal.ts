import type { ReadAt } from '../../source/read-at.ts';
import { incompat } from './features.ts';
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, hasErrors, hasExtMagic } from './identity.ts';

/** Whether it has a journal to replay. False if it has also recorded errors: vmferry must not repair it. */
export function hasJournalToReplay(read: ReadAt, regionBytes: number): boolean {
  if (regionBytes < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) return false;
  const superblock = read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  const fields = new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
  const mustReplay = (fields.getUint32(0x60, true) & incompat.recover) !== 0;
  return hasExtMagic(superblock) && mustReplay && !hasErrors(fields);
}

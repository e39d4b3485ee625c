import { compat, incompat, roCompat } from './features.ts';
import type { FileSystemIdentity } from '../file-system.ts';
import { cleanText, formatUuid } from '../identity-text.ts';

/*
 * The identity in an ext2, ext3 or ext4 superblock. Field offsets: Linux,
 * Documentation/filesystems/ext4/super.rst and fs/ext4/ext4.h (struct ext4_super_block). All numbers are little-endian.
 */

export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_BYTES = 1024;
const MAGIC = 0xef53;

/** The features of ext3; anything beyond makes it an ext4. */
const ext3Incompat = 0x2 | 0x4 | 0x10;
const ext3RoCompat = 0x1 | 0x2 | 0x4;

const STATE_VALID = 1;
const STATE_ERRORS = 2;

function view(superblock: Uint8Array): DataView {
  return new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
}

/** Whether these 1024 bytes have the magic number of a superblock. Checks nothing else. */
export function hasExtMagic(superblock: Uint8Array): boolean {
  return superblock.length >= SUPERBLOCK_BYTES && view(superblock).getUint16(0x38, true) === MAGIC;
}

/** Label, kind and state from a superblock with the magic number. Does not check the rest of it. */
export function readExtIdentity(superblock: Uint8Array): FileSystemIdentity {
  const fields = view(superblock);
  const incompatible = fields.getUint32(0x60, true);
  const readOnly = fields.getUint32(0x64, true);
  const isExt4 = (incompatible & ~ext3Incompat) !== 0 || (readOnly & ~ext3RoCompat) !== 0;
  const isExt3 = (fields.getUint32(0x5c, true) & compat.hasJournal) !== 0;
  const dirtyReason = whyNotClean(fields);
  return {
    kind: isExt4 ? 'ext4' : isExt3 ? 'ext3' : 'ext2',
    label: cleanText(superblock.subarray(0x78, 0x88)),
    uuid: formatUuid(superblock.subarray(0x68, 0x78)),
    clean: dirtyReason === null,
    dirtyReason,
  };
}

function whyNotClean(fields: DataView): string | null {
  if ((fields.getUint32(0x60, true) & incompat.recover) !== 0) return 'its journal must be replayed first';
  if (hasErrors(fields)) return 'it has recorded errors (e2fsck repairs them)';
  if ((fields.getUint16(0x3a, true) & STATE_VALID) === 0) return 'it was not unmounted cleanly';
  if ((fields.getUint32(0x64, true) & roCompat.orphanPresent) !== 0)
    return 'it has deleted files that must be cleaned up first';
  return null;
}

/** Whether the kernel or e2fsck has recorded errors. */
export function hasErrors(superblock: DataView): boolean {
  return (superblock.getUint16(0x3a, true) & STATE_ERRORS) !== 0 || superblock.getUint32(0x194, true) !== 0;
}

import type { FileSystem } from '../file-system.ts';
import { countedUsedBytes } from './counts.ts';
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, hasExtMagic, readExtIdentity } from './identity.ts';
import { checkExtUsage, extUsedExtents } from './used-blocks.ts';

export const ext: FileSystem = {
  kinds: ['ext2', 'ext3', 'ext4'],
  identify(head) {
    const superblock = head.subarray(SUPERBLOCK_OFFSET, SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES);
    return hasExtMagic(superblock) ? readExtIdentity(superblock) : null;
  },
  checkUsage: checkExtUsage,
  usedExtents: extUsedExtents,
  estimateUsedBytes: countedUsedBytes,
};

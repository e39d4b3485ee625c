import { checkedUsage } from '../checked-usage.ts';
import type { FileSystem } from '../file-system.ts';
import { cleanText, formatUuid } from '../identity-text.ts';
import { countUsedBytes, estimateUsedBytes, usedExtents } from './used-blocks.ts';

const MAGIC = [0x58, 0x46, 0x53, 0x42]; // XFSB

export const xfs: FileSystem = {
  kinds: ['xfs'],
  identify(head) {
    if (!MAGIC.every((byte, index) => head[index] === byte)) return null;
    return {
      kind: 'xfs',
      label: cleanText(head.subarray(108, 120)),
      uuid: formatUuid(head.subarray(32, 48)),
      // Whether its log is clean is not in the superblock.
      clean: true,
      dirtyReason: null,
    };
  },
  checkUsage: (read, regionBytes) => checkedUsage(() => countUsedBytes(read, regionBytes)),
  usedExtents,
  estimateUsedBytes,
};

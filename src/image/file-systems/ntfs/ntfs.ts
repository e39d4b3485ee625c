import { checkedUsage } from '../checked-usage.ts';
import type { FileSystem } from '../file-system.ts';
import { hasNtfsName } from './boot-sector.ts';
import { countUsedBytes, estimateUsedBytes, usedExtents } from './used-clusters.ts';

export const ntfs: FileSystem = {
  kinds: ['ntfs'],
  identify(head) {
    if (!hasNtfsName(head)) return null;
    const number = [...head.subarray(72, 80)].toReversed();
    return {
      kind: 'ntfs',
      // It is in the file $Volume.
      label: '',
      uuid: number.map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(''),
      // So is whether it was unmounted cleanly.
      clean: true,
      dirtyReason: null,
    };
  },
  checkUsage: (read, regionBytes) => checkedUsage(() => countUsedBytes(read, regionBytes)),
  usedExtents,
  estimateUsedBytes,
};

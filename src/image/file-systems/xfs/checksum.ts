import { crc32c } from '../../../codec/crc.ts';
import { viewOf } from '../bounded-read.ts';

/**
 * Whether the metadata have their CRC-32C at `at` (version 5). The checksum is stored with its lowest byte first, unlike all
 * other numbers of XFS, and counts as zero itself. Source: Linux, fs/xfs/libxfs/xfs_cksum.h.
 */
export function hasChecksum(metadata: Uint8Array, at: number): boolean {
  const parts = [metadata.subarray(0, at), new Uint8Array(4), metadata.subarray(at + 4)];
  return ~parts.reduce(crc32c, 0xffffffff) >>> 0 === viewOf(metadata).getUint32(at, true);
}

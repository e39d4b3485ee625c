import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import type { ReadAt } from '../../source/read-at.ts';

/* The boot sector of NTFS. Sources: Linux, fs/ntfs3/ntfs.h (struct NTFS_BOOT); ntfs-3g, include/ntfs-3g/layout.h. All numbers are little-endian. */

export const BOOT_SECTOR_BYTES = 512;
/** The fields that the copy behind the last sector must repeat: sizes and places. */
const GEOMETRY = { from: 11, to: 80 };
const LARGEST_CLUSTER_BYTES = 2 ** 21;
/** Larger file systems are not looked into: a bit of each cluster is held in memory, twice. */
const MOST_CLUSTERS = 2 ** 28;

export interface NtfsLayout {
  clusterBytes: number;
  clusterCount: number;
  recordBytes: number;
  /** The first clusters of the master file table and of the copy of its beginning. */
  tableCluster: number;
  mirrorCluster: number;
}

export function hasNtfsName(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(3, 11)) === 'NTFS    ';
}

/** Throws Doubt. */
export function readLayout(read: ReadAt, regionBytes: number): NtfsLayout {
  if (regionBytes < BOOT_SECTOR_BYTES) throw new Doubt('it is too small');
  const head = read(0, BOOT_SECTOR_BYTES);
  const fields = viewOf(head);
  const sectorBytes = fields.getUint16(11, true);
  if (
    !hasNtfsName(head) ||
    fields.getUint16(510, true) !== 0xaa55 ||
    ![512, 1024, 2048, 4096].includes(sectorBytes)
  )
    throw new Doubt('it has no valid boot sector');
  const perCluster = fields.getUint8(13);
  // Above 128 it is a power of two, as a negative exponent.
  const clusterBytes = sectorBytes * (perCluster > 128 ? 2 ** (256 - perCluster) : perCluster);
  const perRecord = fields.getInt8(64);
  const recordBytes = perRecord < 0 ? 2 ** -perRecord : perRecord * clusterBytes;
  if (
    clusterBytes > LARGEST_CLUSTER_BYTES ||
    !isPowerOfTwo(clusterBytes) ||
    ![1024, 2048, 4096].includes(recordBytes)
  )
    throw new Doubt('the size of its clusters or records is not valid');
  const sectors = fields.getBigUint64(40, true);
  if ((sectors + 1n) * BigInt(sectorBytes) > BigInt(regionBytes))
    throw new Doubt('it is larger than its partition or disk');
  const bytes = Number(sectors) * sectorBytes;
  const clusterCount = Math.floor(bytes / clusterBytes);
  if (clusterCount > MOST_CLUSTERS) throw new Doubt('it has too many clusters');
  const copy = read(bytes, BOOT_SECTOR_BYTES);
  for (let at = GEOMETRY.from; at < GEOMETRY.to; at++)
    if (copy[at] !== head[at]) throw new Doubt('its boot sector and the copy of that disagree');
  const cluster = (at: number): number => {
    const value = fields.getBigUint64(at, true);
    if (value === 0n || value >= BigInt(clusterCount))
      throw new Doubt('its boot sector points outside of it');
    return Number(value);
  };
  return { clusterBytes, clusterCount, recordBytes, tableCluster: cluster(48), mirrorCluster: cluster(56) };
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

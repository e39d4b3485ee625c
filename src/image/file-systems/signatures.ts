import { cleanText, formatUuid } from './identity-text.ts';

/*
 * The bytes that identify other file systems and containers: enough to name them, and to notice that a superblock is
 * only a leftover of an earlier file system. Sources: libblkid (util-linux), libblkid/src/superblocks, and the headers
 * of each format.
 */

/** How far signatures reach from the start of a region, and back from its end. */
export const HEAD_BYTES = 272 * 1024;
export const TAIL_BYTES = 132 * 1024;

export interface Signature {
  kind: string;
  label?: string;
  uuid?: string;
}

/** The parts of a region that are searched: `tail` ends where the region ends; the two may overlap. */
export interface Surroundings {
  sizeBytes: number;
  head: Uint8Array;
  tail: Uint8Array;
}

interface Rule {
  kind: string;
  /** The magic number is at one of these. */
  offsets: readonly number[];
  magic: readonly number[];
  uuidOffset?: number;
  label?: readonly [offset: number, bytes: number];
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

/** The uberblocks of the first ZFS label: 128 of 1 KiB each. */
const uberblocks = Array.from({ length: 128 }, (_, index) => 131072 + index * 1024);
const volumeDescriptors = Array.from({ length: 16 }, (_, index) => 32769 + index * 2048);

const rules: readonly Rule[] = [
  { kind: 'btrfs', offsets: [0x10040], magic: ascii('_BHRfS_M'), uuidOffset: 0x10020, label: [0x1012b, 256] },
  { kind: 'lvm2', offsets: [0, 512, 1024, 1536], magic: ascii('LABELONE') },
  { kind: 'luks', offsets: [0], magic: [...ascii('LUKS'), 0xba, 0xbe] },
  {
    kind: 'luks',
    offsets: [0x4000, 0x8000, 0x10000, 0x20000, 0x40000],
    magic: [...ascii('SKUL'), 0xba, 0xbe],
  },
  { kind: 'exfat', offsets: [3], magic: ascii('EXFAT   ') },
  { kind: 'iso9660', offsets: volumeDescriptors, magic: ascii('CD001') },
  { kind: 'udf', offsets: volumeDescriptors, magic: ascii('NSR0') },
  { kind: 'f2fs', offsets: [1024, 5120], magic: [0x10, 0x20, 0xf5, 0xf2] },
  { kind: 'reiserfs', offsets: [8192 + 52, 65536 + 52], magic: ascii('ReIsEr') },
  { kind: 'reiserfs', offsets: [65536], magic: ascii('ReIsEr4') },
  { kind: 'jfs', offsets: [32768], magic: ascii('JFS1') },
  { kind: 'gfs2', offsets: [65536], magic: [0x01, 0x16, 0x19, 0x70] },
  { kind: 'ocfs2', offsets: [1024, 2048, 4096, 8192], magic: ascii('OCFSV2') },
  { kind: 'squashfs', offsets: [0], magic: ascii('hsqs') },
  { kind: 'apfs', offsets: [32], magic: ascii('NXSB') },
  { kind: 'bluestore', offsets: [0], magic: ascii('bluestore block device') },
  { kind: 'bcache', offsets: [4096 + 24], magic: [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca] },
  // UFS1 begins at 0 or 8 KiB, UFS2 at 8, 64 or 256 KiB. The magic number is the last field of the superblock.
  { kind: 'ufs', offsets: [1372, 8192 + 1372], magic: [0x54, 0x19, 0x01, 0x00] },
  { kind: 'ufs', offsets: [1372, 8192 + 1372], magic: [0x00, 0x01, 0x19, 0x54] },
  { kind: 'ufs', offsets: [8192 + 1372, 65536 + 1372, 262144 + 1372], magic: [0x19, 0x01, 0x54, 0x19] },
  { kind: 'ufs', offsets: [8192 + 1372, 65536 + 1372, 262144 + 1372], magic: [0x19, 0x54, 0x01, 0x19] },
  { kind: 'zfs', offsets: uberblocks, magic: [0x0c, 0xb1, 0xba, 0x00, 0, 0, 0, 0] },
  { kind: 'zfs', offsets: uberblocks, magic: [0, 0, 0, 0, 0x00, 0xba, 0xb1, 0x0c] },
  { kind: 'md-raid', offsets: [0, 4096], magic: [0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0] },
  { kind: 'qcow2', offsets: [0], magic: [...ascii('QFI'), 0xfb] },
  { kind: 'vmdk', offsets: [0], magic: ascii('KDMV') },
  // A copy-on-write file of User Mode Linux: the differences from another image (arch/um/drivers/cow_user.c).
  { kind: 'uml-cow', offsets: [0], magic: ascii('OOOM') },
  { kind: 'uml-cow', offsets: [0], magic: ascii('MOOO') },
];

/** All signatures in the region, each kind once. */
export function findSignatures(surroundings: Surroundings): Signature[] {
  const found = new Map<string, Signature>();
  for (const rule of rules) {
    const matches = rule.offsets.some((offset) => startsWith(surroundings.head, offset, rule.magic));
    if (matches && !found.has(rule.kind)) found.set(rule.kind, describe(surroundings.head, rule));
  }
  if (hasTrailingMd(surroundings)) found.set('md-raid', { kind: 'md-raid' });
  if (hasTrailingGpt(surroundings)) found.set('gpt-copy', { kind: 'gpt-copy' });
  return [...found.values()];
}

function startsWith(bytes: Uint8Array, offset: number, magic: readonly number[]): boolean {
  return offset >= 0 && magic.every((byte, index) => bytes[offset + index] === byte);
}

function describe(head: Uint8Array, { kind, uuidOffset, label }: Rule): Signature {
  const text = label === undefined ? '' : cleanText(head.subarray(label[0], label[0] + label[1]));
  return {
    kind,
    ...(text === '' ? {} : { label: text }),
    ...(uuidOffset === undefined ? {} : { uuid: formatUuid(head.subarray(uuidOffset, uuidOffset + 16)) }),
  };
}

/** MD RAID 0.90 and 1.0 have their superblock at the end (linux/raid/md_p.h). */
function hasTrailingMd({ sizeBytes, tail }: Surroundings): boolean {
  const tailStart = sizeBytes - tail.length;
  const sectors = Math.floor(sizeBytes / 512);
  const version090 = Math.floor(sizeBytes / 65536) * 65536 - 65536;
  const version10 = (sectors - 16 - ((sectors - 16) % 8)) * 512;
  return (
    startsWith(tail, version10 - tailStart, [0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0]) ||
    startsWith(tail, version090 - tailStart, [0xfc, 0x4e, 0x2b, 0xa9, 0, 0, 0, 0]) ||
    startsWith(tail, version090 - tailStart, [0xa9, 0x2b, 0x4e, 0xfc, 0, 0, 0, 0])
  );
}

/** The last sector holds the copy of the GPT header. */
function hasTrailingGpt({ tail }: Surroundings): boolean {
  return [512, 4096].some((sector) => startsWith(tail, tail.length - sector, ascii('EFI PART')));
}

import type { Manifest } from '../../archive/manifest.ts';
import type { CompressionFormat } from '../../codec/compression-format.ts';

/** Where the disks of a file go. */
export interface UnpackTarget {
  /** Absolute path of a new file, a directory, or a block device. With a slash at its end it must be a directory. */
  to: string;
  /** Whether what a block device holds may be lost. */
  overwrite: boolean;
}

export interface UnpackedDisk {
  /** Its name in the archive, or that of the image. */
  name: string;
  target: string;
  sizeBytes: number;
  /** Written to the target, or cleared there. */
  writtenBytes: number;
  /** Hexadecimal, of the whole disk; null if its fingerprint was compared instead. */
  sha256: string | null;
  /** Of the target now; null if the size of the disk was known only at its end. */
  fingerprint: string | null;
  readBack: 'direct' | 'page-cache-dropped';
}

/** What a tar turned out to be. */
export interface UnpackedMembers {
  /** Null where there is none, as in an OVA. */
  manifest: Manifest | null;
  /** What the disks were compared with; null where the archive has neither. */
  checked: 'fingerprints' | 'sha256sums' | 'ovf-manifest' | null;
}

/** What a file turned out to be. */
export interface Unpacked extends UnpackedMembers {
  /** For people. */
  path: string;
  /** `ova`: a tar with an OVF and VMDK disks. */
  content: 'archive' | 'ova' | 'image';
  compression: CompressionFormat;
  disks: readonly UnpackedDisk[];
}

/** Called before a disk is written. Throws whatever speaks against it. */
export type BeforeDisk = (manifest: Manifest | null, diskName: string) => Promise<void>;

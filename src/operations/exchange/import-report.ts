import type { StartAfterRestore } from '../restore/restore-report.ts';
import type { FilePlace } from './file-place.ts';
import type { CompressionFormat } from '../../codec/compression-format.ts';

export interface ImportRequest {
  /** An archive or a compressed image; null: standard input. */
  from: FilePlace | null;
  /** Absolute path of a new file, a directory, or a block device. With a slash at its end it must be a directory. */
  to: string;
  /** Whether what a block device holds may be lost. */
  overwrite: boolean;
  /** Null: the guest is not started. */
  start: StartAfterImport | null;
}

export interface StartAfterImport extends StartAfterRestore {
  /** Absolute path of a file that describes the guest; null: the archive does. */
  definitionFile: string | null;
}

export interface ImportedDiskReport {
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

export interface ImportReport {
  type: 'imported';
  /** The file; null: standard input. */
  from: string | null;
  /** `ova`: a tar with an OVF and VMDK disks. */
  content: 'archive' | 'ova' | 'image';
  compression: CompressionFormat;
  /** The guest's name in the manifest; null without one. */
  guest: string | null;
  /** What the disks were compared with; null where the archive has neither. */
  checked: 'fingerprints' | 'sha256sums' | 'ovf-manifest' | null;
  disks: readonly ImportedDiskReport[];
  /** Null unless it was to be started. */
  started: { pid: number | null; consoleLog: string } | null;
  seconds: number;
}

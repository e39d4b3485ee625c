import type { CompressionFormat } from '../../codec/compression-format.ts';
import type { FilePlace } from '../unpack/file-place.ts';
import type { Consistency } from '../../guest/consistency.ts';
import type { HoldMethod, HoldOptions } from '../../hold/still-guest.ts';
import type { ImageFormat } from '../../image/formats/image-format.ts';
import type { Compression } from '../../transfer/compression-level.ts';

/** What is written, and where. */
export interface ExportFile {
  /** Null: standard output. */
  output: FilePlace | null;
  /** An archive of the guest, or the image of its only disk alone. */
  content: 'archive' | 'image';
  format: CompressionFormat;
  /** Of zstd. */
  compression: Compression;
}

export interface ExportRequest extends HoldOptions, ExportFile {
  /** A guest's name, or the path of an image that no guest uses. */
  guest: string;
  everyBlock: boolean;
  hold: HoldMethod;
  /** Of an image that is named by its path; by its name unless given. */
  imageFormat?: ImageFormat;
}

export interface ExportedDisk {
  /** Its name in the archive. */
  name: string;
  sizeBytes: number;
  /** Not read: holes of the image file. */
  holeBytes: number;
  /** Not read: free in its file system. */
  freeBytes: number;
  readBytes: number;
  /** Hexadecimal, of the disk as it is unpacked. */
  sha256: string;
}

export interface ExportReport {
  type: 'exported';
  guest: string;
  /** The id of the snapshot that was exported; null for a guest or an image of this machine. */
  snapshot: string | null;
  /** The file; null: standard output. */
  output: string | null;
  consistency: Consistency;
  disks: readonly ExportedDisk[];
  /** Of the archive. */
  sizeBytes: number;
  seconds: number;
}

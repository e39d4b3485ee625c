import type { ImageFormat } from '../../image/formats/image-format.ts';
import type { MigrationTarget } from '../migrate/migration-report.ts';

/** What `vmferry migrate --via bzip2` is asked to do. */
export interface PlainMoveRequest {
  /** A guest's name, or the path of an image that no guest uses. */
  guest: string;
  target: MigrationTarget;
  everyBlock: boolean;
  /** The format of an image that is named by its path; by its name unless given. */
  imageFormat?: ImageFormat;
  forceHalt: boolean;
  haltTimeoutMs: number;
  /** How long the guest may take to come up here again, if the move fails. */
  bootTimeoutMs: number;
}

export interface PlainMovedDisk {
  source: string;
  /** Absolute, on the other machine. */
  target: string;
  sizeBytes: number;
  /** Not holes, and not free in its file system. */
  readBytes: number;
  sentBytes: number;
  /** Hexadecimal: of the disk here, and as sha256sum printed it there. */
  sha256: string;
}

export interface PlainMoveReport {
  type: 'moved-via';
  via: 'bzip2';
  guest: string;
  destination: string;
  disks: readonly PlainMovedDisk[];
  /** The guest in the language of its hypervisor, with its disks at their new places; null for an image that no guest uses. */
  startText: string | null;
  seconds: number;
}

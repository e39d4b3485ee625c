import type { ImageAttributes } from '../../image/target/file-attributes.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { TargetFormat } from '../../image/target/target-format.ts';
import type { MoverMessage, OwnerClaim } from '../../wire/messages.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { Grants } from './grants.ts';

export interface OpenRequest extends ImageAttributes {
  /** Null: the disk has a path of its own. */
  directory: string | null;
  name: string;
  /** A block device, or another new file; absent: DIRECTORY/NAME. */
  path?: string;
  /** Whether the content of a block device may be lost. */
  overwrite?: true;
  /** Whose incomplete files are continued, and left for later; nobody's if absent. */
  claim?: OwnerClaim;
  /** A block device that the same move has begun over an earlier connection. */
  begun?: true;
  sizeBytes: number;
  chunkBytes: number;
  /** Raw if absent. */
  format?: TargetFormat;
}

/** One of the open disks; absent: the last one. */
export interface DiskRequest {
  disk?: number;
}

export type ClearRequest = Extract<MoverMessage, { type: 'clear' }>;
export type TakeRequest = Omit<Extract<MoverMessage, { type: 'take' }>, 'type'>;
export type FinishRequest = Omit<Extract<MoverMessage, { type: 'finish' }>, 'type'>;
export type AdaptRequest = Extract<MoverMessage, { type: 'adapt' }>;

/** Bytes since a disk was begun, or a pass or a disk was ended. */
export interface ReceiveProgress {
  verifiedBytes: number;
  clearedBytes: number;
}

export interface SessionOptions {
  pool: FramePool;
  signal: AbortSignal;
  /** Where the spool is made if all disks have paths of their own. */
  spoolParent: string;
  /** New files to boot a guest: nothing has their names. */
  bootFilesOf: (guest: string) => BootFilePaths;
  grants: Grants;
  onProgress: (progress: ReceiveProgress) => void;
}

export interface OpenedDisk {
  spool: string;
  /** Whether it may hold something of an earlier connection. */
  isContinued: boolean;
}

export interface Finished {
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
}

export interface PublishedDisks {
  paths: string[];
  ownersKept: boolean;
}

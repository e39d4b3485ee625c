import type { Extent } from '../../extent/extents.ts';
import type { ReadAt } from '../source/read-at.ts';

/**
 * A kind of file system whose free blocks vmferry can leave out. Each has a folder beside this file, and a place in the list of
 * `image/file-systems.ts`. In all calls the file system begins at offset 0 of `read`, and has `regionBytes` of room.
 */
export interface FileSystem {
  /** Names of its variants, such as `ext2`, `ext3`, `ext4`. */
  kinds: readonly string[];
  /**
   * What its superblock says; null if there is no superblock. `head` holds the first `HEAD_BYTES` of the region
   * (`signatures.ts`).
   */
  identify(head: Uint8Array): FileSystemIdentity | null;
  /** Reads everything that it says about free blocks, and decides whether that can be trusted. */
  checkUsage(read: ReadAt, regionBytes: number): FileSystemUsage;
  /**
   * The extents in use, and the room behind the end of the file system: sorted, disjoint, not touching; lazy. Call it
   * only after `checkUsage` has found the file system trustworthy.
   */
  usedExtents(read: ReadAt, regionBytes: number): Iterable<Extent>;
  /** About how many bytes are in use while it is mounted; null if unknown. For estimates only. */
  estimateUsedBytes(read: ReadAt, regionBytes: number): number | null;
}

export interface FileSystemIdentity {
  /** One of `kinds`. */
  kind: string;
  /** Empty if it has none. */
  label: string;
  /** Empty if it has none. */
  uuid: string;
  /** Unmounted cleanly, without recorded errors, and without a journal to replay. */
  clean: boolean;
  /** Why it is not clean, as a clause about the file system. */
  dirtyReason: string | null;
}

export type FileSystemUsage =
  /** `usedBytes` are in use in the file system, which may be smaller than its region. */
  | { understood: true; usedBytes: number }
  /**
   * Why its free blocks must not be left out, as a clause about the file system. `isUnclean`: because it was not unmounted in
   * order, which `identify` could not see.
   */
  | { understood: false; isUnclean: boolean; reason: string };

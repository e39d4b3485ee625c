import type { Extent } from '../../extent/extents.ts';

/**
 * An image opened for reading. Nothing is ever written to it.
 *
 * The file descriptor is shared with the worker threads, which read from it by position.
 */
export interface ImageSource extends Disposable {
  /** Absolute path, links resolved. */
  path: string;
  kind: 'file' | 'block-device';
  fd: number;
  /** Always a multiple of 512. */
  sizeBytes: number;
  /** For a file: bytes that the file system has allocated to it. For a block device: its size. */
  allocatedBytes: number;
  /**
   * Where the file may hold data, sorted, disjoint and not touching; all the rest is known to read as zero
   * (holes of a sparse file). Lazily computed, so that memory does not grow with the image.
   */
  dataExtents(): Iterable<Extent>;
  /** Reads exactly `length` bytes at `offset`. Throws Failure `read-failed` when the disk does not give them. */
  read(offset: number, length: number): Uint8Array;
}

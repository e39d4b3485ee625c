import type { Extent } from '../../extent/extents.ts';

/** An image opened for reading. Nothing is ever written to it. Disposing of it ends whatever its format has started. */
export interface ImageSource extends AsyncDisposable {
  /** Absolute path, links resolved. */
  path: string;
  kind: 'file' | 'block-device';
  /**
   * Gives the disk's bytes at any offset. Worker threads read from it, too: threads of a process share descriptors. A
   * format whose file is not laid out like the disk attaches a device, or exports a file, with the disk's layout.
   */
  fd: number;
  /** Always a multiple of 512. */
  sizeBytes: number;
  /** For a file: bytes that the file system has allocated to it. For a block device: its size. */
  allocatedBytes: number;
  /**
   * Where the image may hold data: sorted, disjoint and not touching. The rest reads as zero, as the holes of a sparse file
   * do. Lazy, so that memory does not grow with the image.
   */
  dataExtents(): Iterable<Extent>;
  /** Reads exactly `length` bytes at `offset`. Throws Failure `read-failed` when the disk does not give them. */
  read(offset: number, length: number): Uint8Array;
}

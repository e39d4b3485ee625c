import type { Extent } from '../../extent/extents.ts';
import type { ImageFormat } from '../formats/image-format.ts';

/** What is worth knowing of an image whose bytes are not those of the disk. */
export interface ContainerDescription {
  /** The files that have the bytes which the image lacks, the nearest first. */
  backingFiles: readonly { path: string; format: ImageFormat }[];
  /** The names of internal snapshots, at most 100 of them. They are not read: the disk is read as it is now. */
  snapshots: readonly string[];
  snapshotCount: number;
  /** The size that the image states. QEMU computes that of a VHD from its geometry, and may show a larger disk. */
  statedBytes: number;
}

/** An image opened for reading. Nothing is ever written to it. Disposing of it ends whatever its format has started. */
export interface ImageSource extends AsyncDisposable {
  /** Absolute path, links resolved. */
  path: string;
  kind: 'file' | 'block-device';
  format: ImageFormat;
  /** Null for a raw image. */
  container: ContainerDescription | null;
  /**
   * Gives the disk's bytes at any offset. Worker threads read from it, too: threads of a process share descriptors. For a
   * raw image it is that of the image, else that of a view of it (`formats/view/view.ts`).
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

/** The bytes of one disk, and how many were read. readBytes + holeBytes + freeBytes = sizeBytes. */
export interface DiskAccount {
  source: string;
  target: string;
  sizeBytes: number;
  /** Read from the source image. */
  readBytes: number;
  /** Not read: holes of the image file. */
  holeBytes: number;
  /** Not read: allocated to the image, but free in its file system. */
  freeBytes: number;
}

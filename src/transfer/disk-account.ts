/** The bytes of one disk, by what became of them. readBytes + holeBytes + freeBytes = sizeBytes. */
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

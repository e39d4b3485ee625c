/** What the header of an image file says. */
export interface ContainerFacts {
  /** Bytes of the disk. For VHD, QEMU may show more: it computes the size from the disk's geometry. */
  sizeBytes: number;
  /** The file that has the bytes which this one lacks; null: they read as zero. */
  backing: BackingReference | null;
  /** The names of internal snapshots, which are not read; at most 100. */
  snapshots: readonly string[];
  snapshotCount: number;
  /** Only of a copy-on-write file of User Mode Linux. */
  cow?: CowLayout;
}

/** Where the parts of a copy-on-write file lie, bytes. */
export interface CowLayout {
  bitmapOffset: number;
  /** Where the disk's first sector lies, or would. */
  dataOffset: number;
}

export interface BackingReference {
  /** As it is written in the image. */
  name: string;
  /** Null where the image does not say. */
  format: string | null;
  /** The file as it was when the image was made over it, where the image notes that; its time of change in seconds, 32 bits of it. */
  madeOver?: { sizeBytes: number; modifiedSeconds: number };
}

export const withoutBacking = { backing: null, snapshots: [], snapshotCount: 0 } as const;

/** What the header of an image file says. */
export interface ContainerFacts {
  /** Bytes of the disk. For VHD, QEMU may show more: it computes the size from the disk's geometry. */
  sizeBytes: number;
  /** The file that has the bytes which this one lacks; null: they read as zero. */
  backing: BackingReference | null;
  /** The names of internal snapshots, which are not read; at most 100. */
  snapshots: readonly string[];
  snapshotCount: number;
}

export interface BackingReference {
  /** As it is written in the image. */
  name: string;
  /** Null where the image does not say. */
  format: string | null;
}

export const withoutBacking = { backing: null, snapshots: [], snapshotCount: 0 } as const;

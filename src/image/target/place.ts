interface FileIdentity {
  dev: bigint;
  ino: bigint;
}

/** The place for an image, as it was found; nothing was changed. */
export interface TargetPlace {
  /**
   * `new-file`: made as `PATH.partial`, and renamed at the end. `partial-file`: a `PATH.partial` that an earlier restore
   * or move of this disk has left. `file`, `block-device`: overwritten in place.
   */
  kind: 'new-file' | 'partial-file' | 'file' | 'block-device';
  path: string;
  /** For a block device, its own size, which is at least that of the image. */
  sizeBytes: number;
  /** What the file system has allocated to it already. */
  allocatedBytes: number;
  /** Identifies what is there, so that nothing else is opened in its place; null for a new file. */
  identity: FileIdentity | null;
}

/** The place of a file that does not exist yet. */
export function newFilePlace(path: string, sizeBytes: number): TargetPlace {
  return { kind: 'new-file', path, sizeBytes, allocatedBytes: 0, identity: null };
}

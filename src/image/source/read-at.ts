/** Reads exactly `length` bytes at `offset` of a disk, a partition or a file system. The caller owns the bytes returned. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

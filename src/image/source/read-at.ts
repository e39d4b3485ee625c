/**
 * Reads exactly `length` bytes at `offset`, counted from the start of what is looked at. What it gives back belongs to
 * the caller.
 */
export type ReadAt = (offset: number, length: number) => Uint8Array;

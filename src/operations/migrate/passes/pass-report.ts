/** What a pass read, and what it sent because it differed from what the new hardware had. */
export interface PassBytes {
  readBytes: number;
  /** Plain bytes of the chunks that differed. */
  changedBytes: number;
  /** The same, compressed. */
  sentBytes: number;
}

/** One pass over the disks of a guest. */
export interface PassReport extends PassBytes {
  seconds: number;
}

/** A range of bytes of an image, `offset` and `length` in bytes; `length` is never 0. */
export interface Extent {
  offset: number;
  length: number;
}

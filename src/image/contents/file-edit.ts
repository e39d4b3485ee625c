/** A change of one file in a guest. Texts are bytes: each character is one (latin1). */
export interface FileEdit {
  /** Absolute path in the guest. */
  path: string;
  /** The whole file before; null: there is none. */
  before: string | null;
  /** The whole file after; null: it is removed. */
  after: string | null;
}

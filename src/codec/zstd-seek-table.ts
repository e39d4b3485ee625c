/*
 * The seek table of zstd's seekable format (facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md): a skippable
 * frame at the end of the file, so that other programs still recognise the file by its first bytes.
 */

const SKIPPABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const HEADER_BYTES = 8;
const ENTRY_BYTES = 8;
const FOOTER_BYTES = 9;

/** Collects the sizes of a file's frames. */
export class SeekTable {
  #sizes = new Uint32Array(2048);
  #count = 0;

  add(compressedBytes: number, plainBytes: number): void {
    if (2 * this.#count === this.#sizes.length) {
      const larger = new Uint32Array(2 * this.#sizes.length);
      larger.set(this.#sizes);
      this.#sizes = larger;
    }
    this.#sizes[2 * this.#count] = compressedBytes;
    this.#sizes[2 * this.#count + 1] = plainBytes;
    this.#count++;
  }

  /** The skippable frame. */
  toBytes(): Uint8Array {
    const contentBytes = this.#count * ENTRY_BYTES + FOOTER_BYTES;
    const bytes = new Uint8Array(HEADER_BYTES + contentBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, SKIPPABLE_MAGIC, true);
    view.setUint32(4, contentBytes, true);
    for (let index = 0; index < 2 * this.#count; index++)
      view.setUint32(HEADER_BYTES + 4 * index, this.#sizes[index] ?? 0, true);
    const footer = bytes.length - FOOTER_BYTES;
    view.setUint32(footer, this.#count, true);
    // The byte between is 0: no checksums.
    view.setUint32(footer + 5, SEEKABLE_MAGIC, true);
    return bytes;
  }
}

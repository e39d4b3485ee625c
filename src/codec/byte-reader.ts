import { damagedArchive } from './damaged-archive.ts';

/** Reads a stream of bytes in pieces of the size that the caller wants. Throws Failure `archive-damaged` where it ends too early. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** The next bytes, which are not consumed: this many, or fewer at the end of the stream. */
  async peek(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    while (sizeBytes < length && (await this.#fill())) {
      // A piece is valid only until the next one.
      parts.push(Uint8Array.from(this.#rest));
      sizeBytes += this.#rest.length;
      this.#rest = new Uint8Array();
    }
    this.#rest = Buffer.concat(parts);
    return this.#rest.subarray(0, length);
  }

  /** Exactly this many bytes, in memory of their own; null at the end of the stream. */
  async take(length: number): Promise<Uint8Array | null> {
    if (!(await this.#fill())) return null;
    const taken = new Uint8Array(length);
    let done = 0;
    for await (const piece of this.pieces(length)) {
      taken.set(piece, done);
      done += piece.length;
    }
    return taken;
  }

  /** The next `length` bytes, in pieces. A piece is valid until the next one is asked for. */
  async *pieces(length: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = length; left > 0;) {
      if (!(await this.#fill())) throw damagedArchive('ends too early');
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async skip(length: number): Promise<void> {
    for await (const _ of this.pieces(length));
  }

  /** Everything up to a line feed, which is read, too. At most this many characters, and this many bytes with the line feed. */
  async line(mostCharacters: number, mostBytes: number): Promise<string> {
    let line = '';
    for (;;) {
      if (!(await this.#fill())) throw damagedArchive('ends too early');
      const window = this.#rest.subarray(0, mostCharacters + 1 - line.length);
      const end = window.indexOf(0x0a);
      line += Buffer.from(end < 0 ? window : window.subarray(0, end)).toString('latin1');
      if (line.length > mostCharacters || line.length + 1 > mostBytes)
        throw damagedArchive('has a line that is too long');
      this.#rest = this.#rest.subarray(end < 0 ? window.length : end + 1);
      if (end >= 0) return line;
    }
  }

  /** Whatever is left, in pieces. */
  async *others(): AsyncGenerator<Uint8Array, void, undefined> {
    while (await this.#fill()) {
      const piece = this.#rest;
      this.#rest = new Uint8Array();
      yield piece;
    }
  }

  /** Stops reading. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** False at the end of the stream. */
  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#rest = next.value;
    }
    return true;
  }
}

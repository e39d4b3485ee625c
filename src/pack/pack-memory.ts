/**
 * Memory for packs to be made in. That of a pack which was sent is used for another: new memory costs the kernel a fault for each
 * page, and V8 collects all garbage whenever so much of it has come and gone.
 */
export class PackMemory {
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  /** At least so many bytes, of any content. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const spare = this.#spare.pop();
    return spare !== undefined && spare.length >= sizeBytes ? spare : new Uint8Array(sizeBytes);
  }

  giveBack(memory: ArrayBuffer): void {
    this.#spare.push(new Uint8Array(memory));
  }
}

/**
 * Memory in which packs are made. The memory of a sent pack is used again: new memory costs a page fault for each page,
 * and V8 does a full collection after some amount of it.
 */
export class PackMemory {
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  /** At least this many bytes, of any content. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const spare = this.#spare.pop();
    return spare !== undefined && spare.length >= sizeBytes ? spare : new Uint8Array(sizeBytes);
  }

  giveBack(memory: ArrayBuffer): void {
    this.#spare.push(new Uint8Array(memory));
  }
}

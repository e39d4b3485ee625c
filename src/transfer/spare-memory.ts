import { alignedSharedMemory } from '../system/memory/aligned-memory.ts';

/** Shared memory of one size, used again: its first use costs a page fault for each page. O_DIRECT accepts its address. */
export class SpareMemory {
  readonly #sizeBytes: number;
  readonly #spare: SharedArrayBuffer[] = [];

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Of any content. */
  take(): SharedArrayBuffer {
    return this.#spare.pop() ?? alignedSharedMemory(this.#sizeBytes);
  }

  giveBack(memory: SharedArrayBuffer): void {
    this.#spare.push(memory);
  }
}

import { setImmediate } from 'node:timers/promises';
import { alignedMemory } from '../system/memory/aligned-memory.ts';
import { tidyUpAfterFrames } from '../system/memory/garbage.ts';

/** Memory that a worker uses again for every job. */
export class Scratch {
  readonly plain = new ReusedBuffer();
  readonly compressed = new ReusedBuffer();
  readonly pack = new ReusedBuffer();
  readonly #spare: ReusedBuffer[] = [];

  /** Memory of its own for a job that does not keep others from working. Call `giveBack` when nothing reads or writes it any more. */
  lend(): ReusedBuffer {
    return this.#spare.pop() ?? new ReusedBuffer();
  }

  giveBack(buffer: ReusedBuffer): void {
    this.#spare.push(buffer);
  }

  /**
   * Call it after a frame of `plainBytes` bytes. Frees the memory that the frame left behind, part of it in a turn of
   * the event loop.
   */
  async tidyUp(plainBytes: number): Promise<void> {
    tidyUpAfterFrames(plainBytes);
    await setImmediate();
  }
}

export class ReusedBuffer {
  #buffer = Buffer.alloc(0);

  /** At least `sizeBytes` bytes of any content, at an address that O_DIRECT accepts. */
  take(sizeBytes: number): Buffer {
    if (this.#buffer.length < sizeBytes) this.#buffer = Buffer.from(alignedMemory(sizeBytes));
    return this.#buffer.subarray(0, sizeBytes);
  }
}

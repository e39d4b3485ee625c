import { setImmediate } from 'node:timers/promises';
import { tidyUpAfterFrames } from '../system/memory/garbage.ts';

/** Node has it, but the type libraries used here do not. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** Memory that a worker uses again for every job. */
export class Scratch {
  readonly plain = new ReusedBuffer();
  readonly compressed = new ReusedBuffer();
  readonly pack = new ReusedBuffer();

  /**
   * Call it after a frame of `plainBytes` bytes. Frees the memory that the frame left behind, part of it in a turn of
   * the event loop.
   */
  async tidyUp(plainBytes: number): Promise<void> {
    tidyUpAfterFrames(plainBytes);
    await setImmediate();
  }
}

class ReusedBuffer {
  #buffer = Buffer.alloc(0);

  /**
   * At least `sizeBytes` bytes of any content, at an address that O_DIRECT accepts: WebAssembly memory begins at a
   * page, which no Buffer of Node's does.
   */
  take(sizeBytes: number): Buffer {
    if (this.#buffer.length < sizeBytes) {
      const pages = Math.ceil(sizeBytes / 65536);
      this.#buffer = Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
    }
    return this.#buffer.subarray(0, sizeBytes);
  }
}

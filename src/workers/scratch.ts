import { setImmediate } from 'node:timers/promises';
import { tidyUpAfterFrames } from '../system/memory/garbage.ts';

/** Part of the language's environment, but not of the type libraries used here. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** Memory that a worker uses again for every job. */
export class Scratch {
  readonly plain = new ReusedBuffer();
  readonly compressed = new ReusedBuffer();
  readonly pack = new ReusedBuffer();

  /** After a frame of `plainBytes` bytes: frees what it left behind, part of it in a turn of the event loop. */
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

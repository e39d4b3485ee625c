import { readSync } from 'node:fs';
import { chunkLength } from '../../../dist/chunk/chunk-grid.js';
import { isAllZero } from '../../../dist/chunk/chunk-id.js';

/** Memory that begins at a page, as O_DIRECT requires and Node's Buffers do not. One frame at a time uses it. */
let memory = Buffer.alloc(0);

function memoryOf(sizeBytes) {
  if (memory.length < sizeBytes) {
    const pages = Math.ceil(sizeBytes / 65536);
    memory = Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
  }
  return memory.subarray(0, sizeBytes);
}

/** The part of an image in one frame (src/workers/frame-plan.ts). Its data is valid until the next frame is read. */
export class PartFrame {
  #fd;
  #grid;
  #plan;

  constructor(fd, grid, plan) {
    this.#fd = fd;
    this.#grid = grid;
    this.#plan = plan;
  }

  /** All its chunks, each in its own slot. */
  read() {
    const slots = memoryOf(this.#plan.positions.length * this.#grid.chunkBytes);
    let filled = 0;
    for (const { offset, into, length } of this.#plan.reads) {
      slots.fill(0, filled, into);
      if (readSync(this.#fd, slots, into, length, offset) !== length)
        throw new Error(`The image could not be read at byte ${offset}.`);
      filled = into + length;
    }
    slots.fill(0, filled);
    return slots;
  }

  /** Chunks that are not zeros: their bytes and their places in the image. */
  chunks() {
    const slots = this.read();
    const { chunkBytes } = this.#grid;
    return this.#plan.positions
      .map((position, slot) => ({
        offset: position * chunkBytes,
        plain: slots.subarray(slot * chunkBytes, slot * chunkBytes + chunkLength(this.#grid, position)),
      }))
      .filter(({ plain }) => !isAllZero(plain));
  }

  /** The same chunks joined, as they are compressed. */
  plain() {
    let length = 0;
    for (const { plain } of this.chunks()) {
      plain.copy(memory, length);
      length += plain.length;
    }
    return memory.subarray(0, length);
  }

  /** The same chunks, with neighbours in the image merged. */
  runs() {
    const runs = [];
    for (const { offset, plain } of this.chunks()) {
      const last = runs.at(-1);
      if (last !== undefined && last.offset + last.plain.length === offset)
        last.plain = memory.subarray(last.from, last.from + last.plain.length + plain.length);
      else runs.push({ offset, from: plain.byteOffset, plain });
    }
    return runs;
  }
}

import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { run } from '../peers/programs.mjs';

const PIECE_BYTES = 64 * 1024;
const READ_BYTES = 64 * PIECE_BYTES;

/**
 * An image that is changed in place from one state to another and back, like a guest's: same path, same file, and only the
 * differing parts are written.
 */
export class ChangingImage {
  #path;
  #states;
  #differing;

  /** @param states paths of two images of the same size; the image begins as the first of them */
  constructor(path, states) {
    run('cp', ['--sparse=always', states[0], path]);
    this.#path = path;
    this.#states = states;
    this.#differing = differingPieces(...states);
  }

  /** @param state 0 or 1 */
  become(state) {
    const from = openSync(this.#states[state], 'r');
    const into = openSync(this.#path, 'r+');
    const piece = Buffer.alloc(PIECE_BYTES);
    for (const position of this.#differing) {
      const length = readSync(from, piece, 0, PIECE_BYTES, position);
      writeSync(into, piece, 0, length, position);
    }
    closeSync(into);
    closeSync(from);
  }
}

/** The pieces of 64 KiB in which two files of the same size differ. */
function differingPieces(first, second) {
  const files = [openSync(first, 'r'), openSync(second, 'r')];
  const buffers = files.map(() => Buffer.alloc(READ_BYTES));
  const positions = [];
  const { size } = fstatSync(files[0]);
  for (let position = 0; position < size; position += READ_BYTES) {
    const [one, other] = files.map((file, index) => {
      const length = readSync(file, buffers[index], 0, READ_BYTES, position);
      return buffers[index].subarray(0, length);
    });
    if (one.equals(other)) continue;
    for (let offset = 0; offset < one.length; offset += PIECE_BYTES)
      if (!one.subarray(offset, offset + PIECE_BYTES).equals(other.subarray(offset, offset + PIECE_BYTES)))
        positions.push(position + offset);
  }
  for (const file of files) closeSync(file);
  return positions;
}

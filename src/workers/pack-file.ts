import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { Failure } from '../failure.ts';
import { errorMessage } from '../system/error-code.ts';

/** The other machine names the files, so links are not followed, and a FIFO is not waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Reads a whole pack file into memory that `roomFor` gives. Throws Failure `pack-damaged` when it is larger than the
 * limit, `read-failed` when it cannot be read.
 */
export function readPackFile(
  path: string,
  limitBytes: number,
  roomFor: (sizeBytes: number) => Buffer,
): Buffer {
  try {
    const fd = openSync(path, READ_FLAGS);
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw new Failure('pack-damaged', `${path} is not a regular file.`);
      const { size } = stats;
      if (size > limitBytes) throw new Failure('pack-damaged', `${path} is larger than any pack.`);
      const room = roomFor(size);
      let filled = 0;
      for (let count = -1; filled < size && count !== 0; filled += count)
        count = readSync(fd, room, filled, size - filled, filled);
      return room.subarray(0, filled);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('read-failed', `The pack ${path} cannot be read: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
}

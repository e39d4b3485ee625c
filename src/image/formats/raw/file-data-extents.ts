import { mergeTouching, type Extent } from '../../../extent/extents.ts';
import { Failure } from '../../../failure.ts';
import { SystemCallError, seekData, seekHole } from '../../../system/native.ts';

/** The errors of SEEK_DATA on file systems that do not support it (lseek(2)). */
const seekUnsupported = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP']);

/** Where a file may hold data: not its holes. Sorted, disjoint and not touching; lazy. Throws Failure `read-failed`. */
export function fileDataExtents(path: string, fd: number, sizeBytes: number): Generator<Extent> {
  return mergeTouching(seekExtents(path, fd, sizeBytes));
}

function* seekExtents(path: string, fd: number, sizeBytes: number): Generator<Extent> {
  let position = 0;
  while (position < sizeBytes) {
    const found = nextData(path, fd, position, sizeBytes);
    if (found === null) return;
    yield found;
    position = found.offset + found.length;
  }
}

function nextData(path: string, fd: number, from: number, sizeBytes: number): Extent | null {
  try {
    const offset = seekData(fd, from);
    if (offset === null || offset >= sizeBytes) return null;
    // Null when the file became shorter meanwhile; the read will notice that.
    const end = Math.min(seekHole(fd, offset) ?? sizeBytes, sizeBytes);
    return { offset, length: end - offset };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (seekUnsupported.has(error.code)) return { offset: from, length: sizeBytes - from };
    throw new Failure('read-failed', `The holes of ${path} cannot be found: ${error.message}.`, {
      cause: error,
    });
  }
}

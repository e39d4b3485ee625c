import { collectGrownGarbage, collectYoungGarbage, releaseFreeMemory } from '../system/memory.ts';

/** Often enough that memory stays level, seldom enough to cost next to nothing. */
const BYTES_BETWEEN_RELEASES = 8 * 2 ** 20;

let unreleasedBytes = 0;

/** Of a guest's folder tens of thousands of files are read one after the other, and each leaves its buffers and texts behind. */
export function tidyUpAfter(readBytes: number): void {
  unreleasedBytes += readBytes;
  if (unreleasedBytes < BYTES_BETWEEN_RELEASES) return;
  unreleasedBytes = 0;
  collectYoungGarbage();
  releaseFreeMemory();
  collectGrownGarbage();
}

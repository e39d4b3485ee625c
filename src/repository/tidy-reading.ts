import { collectAllGarbage, collectYoungGarbage, releaseFreeMemory } from '../system/memory.ts';

/** Often enough that memory stays level, seldom enough to cost next to nothing. */
const BYTES_BETWEEN_RELEASES = 8 * 2 ** 20;
const BYTES_BETWEEN_FULL_COLLECTIONS = 64 * 2 ** 20;

let readBytesInAll = 0;

/** Of a guest's folder tens of thousands of files are read one after the other, and each leaves its buffers and texts behind. */
export function tidyUpAfter(readBytes: number): void {
  const before = readBytesInAll;
  readBytesInAll += readBytes;
  const hasPassed = (step: number) => Math.floor(readBytesInAll / step) > Math.floor(before / step);
  if (hasPassed(BYTES_BETWEEN_FULL_COLLECTIONS)) collectAllGarbage();
  else if (hasPassed(BYTES_BETWEEN_RELEASES)) collectYoungGarbage();
  else return;
  releaseFreeMemory();
}

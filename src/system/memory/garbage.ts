import { getHeapStatistics } from 'node:v8';
import { collectAllGarbage, collectYoungGarbage, releaseFreeMemory } from './memory.ts';

/*
 * When garbage is collected, in each thread: whoever leaves garbage behind says so here. Each limit is low enough to keep memory
 * level, and high enough to cost next to nothing.
 */

const MIB = 2 ** 20;

/** Calls `tidy` each time that the amounts have reached the limit since. */
function every(limit: number, tidy: () => void): (amount: number) => void {
  let sum = 0;
  return (amount) => {
    sum += amount;
    if (sum < limit) return;
    sum = 0;
    tidy();
  };
}

const collectAfterPacks = every(8 * MIB, collectYoungGarbage);
const releaseAfterPacks = every(64 * MIB, releaseFreeMemory);

/** After packs of these bytes were handed to another thread, or came from one. */
export function tidyUpAfterPacks(packBytes: number): void {
  collectAfterPacks(packBytes);
  releaseAfterPacks(packBytes);
}

/** After each answer of a worker: many answers come without a pack when the store has the chunks already. */
export const tidyUpAfterAnswers = every(256, tidyUpAfterObjects);

/** After files were read, each of which leaves buffers and texts behind: a guest's folder has tens of thousands. */
export const tidyUpAfterReading = every(8 * MIB, () => {
  collectYoungGarbage();
  releaseFreeMemory();
  tidyUpAfterObjects();
});

/** In a worker, after frames of these bytes were unpacked. */
export const tidyUpAfterFrames = every(16 * MIB, collectYoungGarbage);

/** In a worker, after each job: it leaves 1 or 2 MiB behind. */
export const tidyUpAfterJobs = every(32, collectYoungGarbage);

const MOST_GROWTH_BYTES = 16 * MIB;
let keptBytes = getHeapStatistics().used_heap_size;

/**
 * After many small objects came and went: collects all garbage when the heap has grown by 16 MiB. V8 would let it grow to four
 * times its size (`tuneMemory`), which is too much where a guest has tens of thousands of files.
 */
export function tidyUpAfterObjects(): void {
  const usedBytes = getHeapStatistics().used_heap_size;
  keptBytes = Math.min(keptBytes, usedBytes);
  if (usedBytes < keptBytes + MOST_GROWTH_BYTES) return;
  collectAllGarbage();
  releaseFreeMemory();
  keptBytes = getHeapStatistics().used_heap_size;
}

import { getHeapStatistics } from 'node:v8';
import { collectAllGarbage, collectYoungGarbage, releaseFreeMemory } from './memory.ts';

/*
 * Decides when garbage is collected, in each thread. Code that leaves garbage behind calls a function of this file.
 * Each limit is low enough to keep memory level, and high enough to cost next to nothing.
 */

const MIB = 2 ** 20;

/** Calls `tidy` each time that the amounts since the last call add up to the limit. */
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

/** Call it after packs of these bytes were handed to another thread, or came from another thread. */
export function tidyUpAfterPacks(packBytes: number): void {
  collectAfterPacks(packBytes);
  releaseAfterPacks(packBytes);
}

/** Call it after each answer of a worker. If the store has the chunks already, many answers come without a pack. */
export const tidyUpAfterAnswers = every(256, tidyUpAfterObjects);

/**
 * Call it after files were read: each leaves buffers and texts behind, and a guest's folder has tens of thousands of
 * files.
 */
export const tidyUpAfterReading = every(8 * MIB, () => {
  collectYoungGarbage();
  releaseFreeMemory();
  tidyUpAfterObjects();
});

/** In a worker, call it after frames of these bytes were unpacked. */
export const tidyUpAfterFrames = every(16 * MIB, collectYoungGarbage);

/** In a worker, call it after each job, which leaves 1 or 2 MiB behind. */
export const tidyUpAfterJobs = every(32, collectYoungGarbage);

const MOST_GROWTH_BYTES = 16 * MIB;
let keptBytes = getHeapStatistics().used_heap_size;

/**
 * Call it after many small objects came and went. Collects all garbage when the heap has grown by 16 MiB. V8 would let
 * it grow to four times its size (`tuneMemory`), which is too much where a guest has tens of thousands of files.
 */
export function tidyUpAfterObjects(): void {
  const usedBytes = getHeapStatistics().used_heap_size;
  keptBytes = Math.min(keptBytes, usedBytes);
  if (usedBytes < keptBytes + MOST_GROWTH_BYTES) return;
  collectAllGarbage();
  releaseFreeMemory();
  keptBytes = getHeapStatistics().used_heap_size;
}

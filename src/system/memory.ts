import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';

/*
 * V8 collects garbage when its own heap fills. Buffers that native code has made are almost nothing on that heap, so that
 * hundreds of MiB of dead ones can pile up; and glibc keeps what is freed for the thread that allocated it. Whoever
 * works through gigabytes in such buffers calls these two.
 */

// Buffers of packets and packs count towards the size at which V8 collects everything, though its own heap hardly changes.
// With its usual factor it did so at each pack, which took 1.5 s of 12 from a move of 4 GiB.
setFlagsFromString('--heap-growing-percent=300');

// Hot loops here are native code. To optimize the JavaScript around them as early as V8 does cost 1 s of the 13 CPU seconds of a
// move of 4 GiB, and gained nothing. What runs ten times as long as its usual 132 KB of bytecode is still optimized.
setFlagsFromString('--interrupt-budget=1320000');

// There is no other way to ask for a collection of the young generation alone, which takes less than a millisecond.
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

/** Collects what died young. What native code must free itself is freed in the next turn of the event loop. */
export function collectYoungGarbage(): void {
  gc({ type: 'minor' });
}

/** Of glibc; other C libraries give memory back by themselves, and have none of these. */
const mallocTrim = findNative('int malloc_trim(size_t pad)') as ((pad: number) => number) | null;
const mallopt = findNative('int mallopt(int param, int value)') as
  ((param: number, value: number) => number) | null;

function findNative(prototype: string): unknown {
  try {
    return koffi.load(null).func(prototype);
  } catch {
    return null;
  }
}

/** malloc.h */
const M_MMAP_THRESHOLD = -3;
/** What is as large as a pack goes back to the kernel when it is freed. Unless told, glibc keeps more and more of it for each thread. */
mallopt?.(M_MMAP_THRESHOLD, 4 * 2 ** 20);

/** Gives memory that is free inside the C library back to the kernel. */
export function releaseFreeMemory(): void {
  mallocTrim?.(0);
}

/** A collection of all garbage takes some 50 ms for each 50 MiB that are none. */
const MOST_GROWTH_BYTES = 16 * 2 ** 20;
let keptBytes = getHeapStatistics().used_heap_size;

/**
 * Collects all garbage once there is much of it. V8 itself would let a heap grow to four times of what is none, by the factor above:
 * too much where a guest has tens of thousands of files. To be called wherever many small objects come and go.
 */
export function collectGrownGarbage(): void {
  const usedBytes = getHeapStatistics().used_heap_size;
  keptBytes = Math.min(keptBytes, usedBytes);
  if (usedBytes < keptBytes + MOST_GROWTH_BYTES) return;
  gc();
  releaseFreeMemory();
  keptBytes = getHeapStatistics().used_heap_size;
}

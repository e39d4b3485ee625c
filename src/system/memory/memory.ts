import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';

/*
 * Controls what V8 and the C library do with memory. V8 watches its heap, in which buffers of native code take almost
 * nothing: hundreds of MiB of dead buffers can pile up. `garbage.ts` decides when to collect them.
 */

/** malloc.h */
const M_MMAP_THRESHOLD = -3;
const MMAP_THRESHOLD_BYTES = 4 * 2 ** 20;

/**
 * Sets V8 and the C library up for a process that moves gigabytes through buffers. It applies to all threads of the
 * process. A second call changes nothing.
 */
export function tuneMemory(): void {
  // Buffers of packets and packs count towards the size at which V8 collects all garbage, though its heap hardly changes. With
  // V8's usual factor each pack caused a collection, which took 1.5 s of the 12 s of a move of 4 GiB.
  setFlagsFromString('--heap-growing-percent=300');

  // The hot loops are native code. V8's early optimization of the JavaScript around them took 1 s of the 13 CPU seconds
  // of a move of 4 GiB, and gained nothing. Code that runs ten times as long as usual (132 KB of bytecode) is still
  // optimized.
  setFlagsFromString('--interrupt-budget=1320000');

  // Memory as large as a pack goes back to the kernel when it is freed. By default glibc raises this threshold, and keeps more
  // and more for each thread.
  const mallopt = findNative('int mallopt(int param, int value)') as
    ((param: number, value: number) => number) | null;
  mallopt?.(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
}

let gc: ((options?: { type: 'minor' }) => void) | null = null;

/** Only with this function does V8 collect the young generation alone, in less than a millisecond. */
function exposedGc(): (options?: { type: 'minor' }) => void {
  if (gc !== null) return gc;
  setFlagsFromString('--expose-gc');
  gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
  return gc;
}

/** Takes less than a millisecond. The memory of native code is freed only in the next turn of the event loop. */
export function collectYoungGarbage(): void {
  exposedGc()({ type: 'minor' });
}

/** Takes some 50 ms for each 50 MiB that are not garbage. */
export function collectAllGarbage(): void {
  exposedGc()();
}

let mallocTrim: ((pad: number) => number) | null | undefined;

/** Gives memory that is free inside the C library back to the kernel. */
export function releaseFreeMemory(): void {
  if (mallocTrim === undefined)
    mallocTrim = findNative('int malloc_trim(size_t pad)') as ((pad: number) => number) | null;
  mallocTrim?.(0);
}

/** A function of glibc; null with other C libraries, which give memory back by themselves. */
function findNative(prototype: string): unknown {
  try {
    return koffi.load(null).func(prototype);
  } catch {
    return null;
  }
}

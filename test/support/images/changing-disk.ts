import { writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { punchHole } from '../../../src/system/native.ts';
import { seededBytes } from './images.ts';
import { writeSparseImage } from './sparse-images.ts';

/** Of the chunks of an image as large as this. */
export const CHUNK = 65_536;
export const BLOCK = 4096;
const CHUNKS = 150;
const diskBytes = CHUNKS * CHUNK + 3 * BLOCK;

/** A raw disk with data in 94 of its chunks, the last of them in part. */
export function makeChangingDisk(path: string): void {
  writeSparseImage(path, {
    sectors: diskBytes / 512,
    pieces: [
      { sector: 0, sectors: 64 * 128, kind: 'noise' },
      { sector: 100 * 128, sectors: 30 * 128, kind: 'text' },
    ],
  });
}

/** Changes such a disk as a guest and its hypervisor do: writes, writes zeros, writes the same again, frees blocks. */
export function changeDisk(fd: number, random: () => number): void {
  const from = Math.floor(random() * (diskBytes / BLOCK)) * BLOCK;
  const length = Math.min(diskBytes - from, BLOCK * (1 + Math.floor(random() * 40)));
  const kind = Math.floor(random() * 4);
  if (kind === 0) {
    punchHole(fd, from, length);
    return;
  }
  const bytes = kind === 1 ? Buffer.alloc(length) : seededBytes(Math.floor(random() * 1e6), length);
  writeSync(fd, bytes, 0, length, from);
}

/** Changes a disk until the work is done. Returns its result. */
export async function whileChanging<Result>(change: () => void, work: Promise<Result>): Promise<Result> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  done.catch(() => undefined);
  while (!isDone) {
    change();
    await nextTurn();
  }
  return done;
}

import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import { seededBytes } from './images.ts';

const SECTOR = 512;

/** A piece of data in an image; `sector` and `sectors` in units of 512 bytes. */
export interface Piece {
  sector: number;
  sectors: number;
  kind: 'noise' | 'text' | 'ones' | 'zeros';
}

export interface SparseImage {
  sectors: number;
  pieces: readonly Piece[];
}

/** Arbitrary images of holes and several kinds of data, up to this size. */
export function sparseImages(mostSectors: number): fc.Arbitrary<SparseImage> {
  const piece = fc.record({
    sector: fc.nat({ max: mostSectors }),
    sectors: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })),
    kind: fc.constantFrom('noise', 'text', 'ones', 'zeros'),
  });
  return fc.record({
    sectors: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: mostSectors })),
    pieces: fc.array(piece, { maxLength: 25 }),
  });
}

/** Writes the image. Later pieces overwrite earlier ones, and bytes beyond its end are left out. */
export function writeSparseImage(path: string, { sectors, pieces }: SparseImage): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sectors * SECTOR);
  for (const [index, piece] of pieces.entries()) {
    const length = Math.min(piece.sectors, sectors - piece.sector) * SECTOR;
    if (length > 0) writeSync(fd, contentOf(piece, length, index), 0, length, piece.sector * SECTOR);
  }
  // on some file systems, data that is not on the disk yet does not count as a hole, whatever it holds
  fsyncSync(fd);
  closeSync(fd);
}

function contentOf({ kind }: Piece, length: number, seed: number): Uint8Array {
  switch (kind) {
    case 'noise':
      return seededBytes(seed + 1, length);
    case 'text':
      return Buffer.alloc(length, `piece ${seed} of a guest's disk, `);
    case 'ones':
      return Buffer.alloc(length, 0xff);
    case 'zeros':
      return Buffer.alloc(length);
  }
}

/** Reads in pieces, because images may be large. */
export async function fileSha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(part as Buffer);
  return hash.digest('hex');
}

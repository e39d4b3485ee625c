import { closeSync, openSync, readSync, readdirSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const PIECE_BYTES = 64 * 1024;

/**
 * Rewrites a share of the used bytes of a mounted file system in place: scattered pieces of 64 KiB in files, the same ones
 * each time. The new bytes compress like the old ones.
 */
export function rewriteScattered(mountPoint, share) {
  const { blocks, bfree, bsize } = statfsSync(mountPoint);
  const pieceCount = Math.round(((blocks - bfree) * bsize * share) / PIECE_BYTES);
  const places = piecesOf(mountPoint);
  const step = places.length / pieceCount;
  const buffer = Buffer.alloc(PIECE_BYTES);
  for (let index = 0; index < pieceCount; index++) {
    const { file, position } = places[Math.floor(index * step)];
    const fd = openSync(file, 'r+');
    readSync(fd, buffer, 0, PIECE_BYTES, position);
    for (let at = 0; at < PIECE_BYTES; at++) buffer[at] ^= 0xa5;
    writeSync(fd, buffer, 0, PIECE_BYTES, position);
    closeSync(fd);
  }
}

/** Every whole 64 KiB piece of every file, in the order of their names. */
function piecesOf(mountPoint) {
  const files = readdirSync(mountPoint, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return files.flatMap((file) =>
    Array.from({ length: Math.floor(statSync(file).size / PIECE_BYTES) }, (_, index) => ({
      file,
      position: index * PIECE_BYTES,
    })),
  );
}

import koffi from 'koffi';
import { SystemCallError } from './native.ts';

/*
 * Where the bytes of a file lie on the disk. Sources: Linux, Documentation/filesystems/fiemap.rst; linux/fiemap.h
 * (struct fiemap, struct fiemap_extent, FIEMAP_*), linux/fs.h (FS_IOC_FIEMAP).
 */
const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, ...)');

const FS_IOC_FIEMAP = 0xc020660b;
const FIEMAP_FLAG_SYNC = 1;
const FIEMAP_EXTENT_LAST = 0x1;
const FIEMAP_EXTENT_MERGED = 0x1000;
const FIEMAP_EXTENT_SHARED = 0x2000;
/** An extent with any other flag has no known place, or the place does not hold exactly the bytes of the file. */
const PLAIN = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED | FIEMAP_EXTENT_SHARED;

const HEADER_BYTES = 32;
const EXTENT_BYTES = 56;
const EXTENTS_PER_CALL = 1024;

/** A range of a file, in bytes. */
export interface MappedExtent {
  offset: number;
  length: number;
  /** Offset on the disk; null if the place does not hold exactly the bytes of the file. */
  place: number | null;
}

/**
 * The extents of the file up to `sizeBytes`: sorted, disjoint; the rest is holes. The kernel writes dirty pages first. Lazy: memory
 * does not grow with their number. Throws SystemCallError.
 */
export function* mappedExtents(fd: number, sizeBytes: number): Generator<MappedExtent> {
  const request = Buffer.alloc(HEADER_BYTES + EXTENTS_PER_CALL * EXTENT_BYTES);
  for (let position = 0; position < sizeBytes;) {
    const count = askForExtents(fd, request, position, sizeBytes);
    const from = position;
    let isLast = count === 0;
    for (let index = 0; index < count; index++) {
      const at = HEADER_BYTES + index * EXTENT_BYTES;
      const flags = request.readUInt32LE(at + 40);
      isLast ||= (flags & FIEMAP_EXTENT_LAST) !== 0;
      const start = readNumber(request, at);
      const offset = Math.max(start, position);
      const end = Math.min(start + readNumber(request, at + 16), sizeBytes);
      if (end <= offset) continue;
      const place = readNumber(request, at + 8) + offset - start;
      const isPlain = (flags & ~PLAIN) === 0 && Number.isSafeInteger(place);
      yield { offset, length: end - offset, place: isPlain ? place : null };
      position = end;
    }
    if (isLast || position === from) return;
  }
}

function askForExtents(fd: number, request: Buffer, position: number, sizeBytes: number): number {
  request.fill(0, 0, HEADER_BYTES);
  request.writeBigUInt64LE(BigInt(position), 0);
  request.writeBigUInt64LE(BigInt(sizeBytes - position), 8);
  request.writeUInt32LE(position === 0 ? FIEMAP_FLAG_SYNC : 0, 16);
  request.writeUInt32LE(EXTENTS_PER_CALL, 24);
  if (ioctl(fd, FS_IOC_FIEMAP, 'void *', request) !== 0)
    throw new SystemCallError('ioctl FS_IOC_FIEMAP', koffi.errno());
  return Math.min(request.readUInt32LE(20), EXTENTS_PER_CALL);
}

/** Reads 64 bits; not exact from 2^53 on. */
function readNumber(from: Buffer, at: number): number {
  return from.readUInt32LE(at + 4) * 2 ** 32 + from.readUInt32LE(at);
}

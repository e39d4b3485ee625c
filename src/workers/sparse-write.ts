import { write as writeAside, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { isAllZero } from '../chunk/chunk-id.ts';
import { Failure } from '../failure.ts';
import { errorCode, errorMessage } from '../system/error-code.ts';
import { punchHole } from '../system/native.ts';

/** Runs of zero bytes at least this long are left as holes. */
const HOLE_GRAIN_BYTES = 4096;
/** From this size on, direct writes cost less than the page cache, which copies the bytes. */
const DIRECT_RUN_BYTES = 64 * 1024;

const zeros = new Uint8Array(2 ** 20);

export interface WrittenFile {
  fd: number;
  /** The same file opened with O_DIRECT; null where its file system cannot do that. */
  directFd: number | null;
  /**
   * How zeros are written: not at all if the file reads as zero already; else as holes; as bytes after the file system
   * has refused a hole.
   */
  zeros: 'left-out' | 'made-holes' | 'written';
}

/**
 * Writes the bytes, with holes where they are zero. Throws Failure `target-full` or `write-failed`.
 * @param bytes long runs go past the page cache if they are at an address that is a multiple of 4096
 */
export function writeSparsely(file: WrittenFile, bytes: Uint8Array, offset: number): void {
  for (const { from, to, areZero } of piecesOf(file, bytes))
    if (areZero) leaveHole(file, offset + from, to - from);
    else writeRun(file, bytes.subarray(from, to), offset + from);
}

/** The same, but the thread waits for no write past the page cache. */
export async function writeSparselyAside(
  file: WrittenFile,
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  for (const { from, to, areZero } of piecesOf(file, bytes))
    if (areZero) leaveHole(file, offset + from, to - from);
    else await writeRunAside(file, bytes.subarray(from, to), offset + from);
}

interface Piece {
  from: number;
  to: number;
  areZero: boolean;
}

function* piecesOf({ zeros }: WrittenFile, bytes: Uint8Array): Iterable<Piece> {
  let piece: Piece = { from: 0, to: 0, areZero: false };
  if (zeros === 'written') piece.to = bytes.length;
  while (piece.to < bytes.length) {
    const end = Math.min(piece.to + HOLE_GRAIN_BYTES, bytes.length);
    const isZero = isAllZero(bytes, piece.to, end);
    if (isZero !== piece.areZero && piece.to > piece.from) {
      yield piece;
      piece = { from: piece.to, to: piece.to, areZero: isZero };
    }
    piece.areZero = isZero;
    piece.to = end;
  }
  if (piece.to > piece.from) yield piece;
}

function leaveHole(file: WrittenFile, offset: number, length: number): void {
  if (file.zeros !== 'left-out' && !clearRange(file.fd, offset, length)) file.zeros = 'written';
}

/**
 * Makes the range read as zero, with a hole if possible. False when bytes of zero had to be written. Throws Failure
 * `target-full` or `write-failed`.
 */
export function clearRange(fd: number, offset: number, length: number): boolean {
  try {
    if (punchHole(fd, offset, length)) return true;
  } catch (error) {
    throw writeFailure(error);
  }
  for (let done = 0; done < length;)
    done += writeOnce(fd, zeros.subarray(0, Math.min(zeros.length, length - done)), offset + done);
  return false;
}

function writeRun(file: WrittenFile, bytes: Uint8Array, offset: number): void {
  const directFd = directFdFor(file, bytes, offset);
  writeRest(file, bytes, offset, directFd === null ? 0 : writeDirect(directFd, bytes, offset));
}

async function writeRunAside(file: WrittenFile, bytes: Uint8Array, offset: number): Promise<void> {
  const directFd = directFdFor(file, bytes, offset);
  writeRest(file, bytes, offset, directFd === null ? 0 : await writeDirectAside(directFd, bytes, offset));
}

/** Null: through the page cache. */
function directFdFor({ directFd }: WrittenFile, bytes: Uint8Array, offset: number): number | null {
  const isAligned = (bytes.length | offset | bytes.byteOffset) % HOLE_GRAIN_BYTES === 0;
  return isAligned && bytes.length >= DIRECT_RUN_BYTES ? directFd : null;
}

function writeRest({ fd }: WrittenFile, bytes: Uint8Array, offset: number, doneBytes: number): void {
  for (let done = doneBytes; done < bytes.length;) done += writeOnce(fd, bytes.subarray(done), offset + done);
}

/** Returns the number of bytes written: 0 if the file system demands another alignment. */
function writeDirect(fd: number, bytes: Uint8Array, offset: number): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length, offset);
  } catch (error) {
    if (errorCode(error) === 'EINVAL') return 0;
    throw writeFailure(error);
  }
}

const writeInPool = promisify(writeAside);

/** As `writeDirect`, in a thread of libuv's. */
async function writeDirectAside(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  try {
    return (await writeInPool(fd, bytes, 0, bytes.length, offset)).bytesWritten;
  } catch (error) {
    if (errorCode(error) === 'EINVAL') return 0;
    throw writeFailure(error);
  }
}

function writeOnce(fd: number, bytes: Uint8Array, offset: number): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length, offset);
  } catch (error) {
    throw writeFailure(error);
  }
}

function writeFailure(error: unknown): Failure {
  const isFull = errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
  return new Failure(
    isFull ? 'target-full' : 'write-failed',
    `The new image cannot be written: ${errorMessage(error)}.`,
    {
      ...(isFull ? { advice: 'Make room there, or choose another place for it.' } : {}),
      cause: error,
    },
  );
}

import { createRequire } from 'node:module';
import { Failure } from '../failure.ts';
import { damagedArchive } from './damaged-archive.ts';

/*
 * bzip2 without a program, by the decoder of unbzip2-stream. Its stream collects a block in an array of numbers, 46 MB of zeros in 370 MB,
 * does not notice an empty input, and takes a stream behind the first for damage if anything lies between. So only its decoder is used.
 */

/** Reads bits; null: skips to the next whole byte. */
type Bits = ((count: number | null) => number) & { bytesRead: number };

interface Decoder {
  /** Returns the size of the blocks, in 100,000 bytes. */
  header(bits: Bits): number;
  /** Returns the checksum so far; null at the end of a stream. */
  decompress(
    bits: Bits,
    put: (byte: number) => void,
    memory: Int32Array,
    memorySize: number,
    checksum: number,
  ): number | null;
}

const BLOCK_UNIT_BYTES = 100_000;
/** What one block takes at most, compressed: 1 % and 600 bytes more than its content (bzip2 manual), and some more. */
const MARGIN_BYTES = 25_000;
const HEADER_BYTES = 4;
const PIECE_BYTES = 2 ** 20;

/** Asks for more compressed bytes. */
export const WANTS_INPUT = null;

/**
 * Unpacks bzip2 streams, one behind the other. Yields plain bytes, or `WANTS_INPUT`, and is then given the next compressed bytes, or null at
 * the end of the input. What comes behind the last stream and is no stream is ignored, as bzip2 does. Throws Failure `archive-damaged`, and
 * `program-missing` for a block in the form that bzip2 had before 0.9.5.
 */
export function* bunzip2(): Generator<Uint8Array | typeof WANTS_INPUT, void, Uint8Array | null> {
  const require = createRequire(import.meta.url);
  const decoder = require('unbzip2-stream/lib/bzip2.js') as Decoder;
  const bitsOf = require('unbzip2-stream/lib/bit_iterator.js') as (
    next: () => Uint8Array | undefined,
  ) => Bits;
  const waiting: Uint8Array[] = [];
  let takenBytes = 0;
  let isAtEnd = false;
  const receive = (piece: Uint8Array | null) => {
    if (piece === null) isAtEnd = true;
    else if (piece.length > 0) {
      waiting.push(piece);
      takenBytes += piece.length;
    }
  };
  while (waiting.length === 0 && !isAtEnd) receive(yield WANTS_INPUT);
  if (waiting.length === 0) throw damagedArchive('is empty');
  const bits = bitsOf(() => waiting.shift());
  const leftBytes = () => takenBytes - bits.bytesRead;
  for (let streams = 0; ; streams++) {
    while (leftBytes() < HEADER_BYTES && !isAtEnd) receive(yield WANTS_INPUT);
    if (leftBytes() <= 0 && streams > 0) return;
    const units = blockUnits(decoder, bits);
    if (units === null && streams > 0) return;
    if (units === null) throw damagedArchive('does not begin as bzip2 does');
    const memory = new Int32Array(units * BLOCK_UNIT_BYTES);
    for (let checksum: number | null = 0; checksum !== null;) {
      while (leftBytes() < memory.length + MARGIN_BYTES && !isAtEnd) receive(yield WANTS_INPUT);
      const pieces: Uint8Array[] = [];
      try {
        checksum = decodeBlock(decoder, bits, memory, checksum, pieces);
      } catch (error) {
        throw explained(error, isAtEnd && leftBytes() <= 0);
      }
      yield* pieces;
    }
  }
}

/** Null if what comes is no header of a stream. */
function blockUnits(decoder: Decoder, bits: Bits): number | null {
  try {
    return decoder.header(bits);
  } catch {
    return null;
  }
}

function decodeBlock(
  decoder: Decoder,
  bits: Bits,
  memory: Int32Array,
  checksum: number,
  pieces: Uint8Array[],
): number | null {
  let piece = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  const put = (byte: number) => {
    piece[filled++] = byte;
    if (filled < PIECE_BYTES) return;
    pieces.push(piece);
    piece = new Uint8Array(PIECE_BYTES);
    filled = 0;
  };
  const next = decoder.decompress(bits, put, memory, memory.length, checksum);
  if (filled > 0) pieces.push(piece.subarray(0, filled));
  return next;
}

function explained(error: unknown, isExhausted: boolean): Failure {
  if (isExhausted) return damagedArchive('ends too early', error);
  const { message } = error as Error;
  if (message.includes('obsolete'))
    return new Failure('program-missing', 'The archive has a block of bzip2 before version 0.9.5.', {
      advice: 'Install bzip2, which still reads it.',
      cause: error,
    });
  return damagedArchive('cannot be unpacked by bzip2: a block is damaged', error);
}

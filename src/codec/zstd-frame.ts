import { Failure } from '../failure.ts';

/*
 * The shape of a zstd frame: RFC 8878, 3.1.1. A header (magic number, descriptor, window or none, dictionary id or
 * none, content size or none), blocks, and a checksum or none.
 */

const MAGIC = 0xfd2fb528;
const MAGIC_BYTES = 4;
/** Bits of the descriptor: how long the content size is, and what else there is. */
const CONTENT_SIZE_SHIFT = 6;
const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;
const CHECKSUM = 0x04;
const DICTIONARY_ID = 0x03;
const EIGHT_BYTE_CONTENT_SIZE = 3;

const BLOCK_HEADER_BYTES = 3;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/** What comes before a frame's blocks, once the frame is known to be whole. */
interface FrameHeader {
  descriptor: number;
  blocksOffset: number;
}

/**
 * Refuses anything that is not exactly one whole frame without a dictionary, or that says itself that its content has
 * another size (Failure `pack-damaged`). How much its blocks unpack to is not looked at.
 */
export function requireFrame(frame: Uint8Array, plainBytes: number): FrameHeader {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length <= MAGIC_BYTES || view.getUint32(0, true) !== MAGIC)
    throw damaged('does not begin as one');
  const descriptor = view.getUint8(MAGIC_BYTES);
  if ((descriptor & (RESERVED | DICTIONARY_ID)) !== 0) throw damaged('needs more than zstd to be unpacked');
  const blocksOffset = MAGIC_BYTES + 1 + (isSingleSegment(descriptor) ? 0 : 1) + contentSizeBytes(descriptor);
  requireOneFrame(view, blocksOffset, (descriptor & CHECKSUM) === 0 ? 0 : 4);
  const saidBytes = contentBytes(view, descriptor, blocksOffset);
  if (saidBytes !== null && saidBytes !== BigInt(plainBytes))
    throw damaged(`holds ${saidBytes} bytes instead of ${plainBytes}`);
  return { descriptor, blocksOffset };
}

/**
 * The frame with a header that says that its content is `plainBytes` bytes and needs no window beyond them. A
 * decoder then never gives more than these, whatever the blocks hold, and gives an error where they hold something
 * else. Without such a header it goes on for as long as there are blocks: gigabytes from a few kilobytes. How much
 * the blocks unpack to cannot be told from their sizes: encoders split them as they see fit. Throws as `requireFrame`.
 */
export function boundedFrame(frame: Uint8Array, plainBytes: number): Uint8Array {
  const { descriptor, blocksOffset } = requireFrame(frame, plainBytes);
  const headerBytes = MAGIC_BYTES + 1 + 8;
  const bounded = new Uint8Array(headerBytes + frame.length - blocksOffset);
  const header = new DataView(bounded.buffer);
  header.setUint32(0, MAGIC, true);
  const sizeFlag = EIGHT_BYTE_CONTENT_SIZE << CONTENT_SIZE_SHIFT;
  header.setUint8(MAGIC_BYTES, sizeFlag | SINGLE_SEGMENT | (descriptor & CHECKSUM));
  header.setBigUint64(MAGIC_BYTES + 1, BigInt(plainBytes), true);
  bounded.set(frame.subarray(blocksOffset), headerBytes);
  return bounded;
}

/** What a frame says of the size of its content, in bytes; null where it does not say, or is no frame. */
export function saidContentBytes(frame: Uint8Array): number | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length <= MAGIC_BYTES || view.getUint32(0, true) !== MAGIC) return null;
  const descriptor = view.getUint8(MAGIC_BYTES);
  const headerBytes = MAGIC_BYTES + 1 + (isSingleSegment(descriptor) ? 0 : 1) + contentSizeBytes(descriptor);
  if ((descriptor & DICTIONARY_ID) !== 0 || frame.length < headerBytes) return null;
  const said = contentBytes(view, descriptor, headerBytes);
  return said === null ? null : Number(said);
}

/** Steps from block to block: decoders would take further frames behind the first one as more of the same. */
function requireOneFrame(view: DataView, blocksOffset: number, checksumBytes: number): void {
  let offset = blocksOffset;
  for (let isLast = false; !isLast;) {
    if (offset + BLOCK_HEADER_BYTES > view.byteLength) throw damaged('ends too early');
    const header = view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
    isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    if (type === BLOCK_RESERVED) throw damaged('has a block of an unknown type');
    offset += BLOCK_HEADER_BYTES + (type === BLOCK_RLE ? 1 : header >> 3);
  }
  if (offset + checksumBytes !== view.byteLength) throw damaged('has another length than it says');
}

function isSingleSegment(descriptor: number): boolean {
  return (descriptor & SINGLE_SEGMENT) !== 0;
}

/** How long the field is that says how much the frame holds. */
function contentSizeBytes(descriptor: number): number {
  const flag = descriptor >> CONTENT_SIZE_SHIFT;
  return flag === 0 ? Number(isSingleSegment(descriptor)) : 1 << flag;
}

/** What that field says; it is the last one of the header. */
function contentBytes(view: DataView, descriptor: number, blocksOffset: number): bigint | null {
  const length = contentSizeBytes(descriptor);
  const offset = blocksOffset - length;
  switch (length) {
    case 1:
      return BigInt(view.getUint8(offset));
    case 2:
      return BigInt(view.getUint16(offset, true) + 256);
    case 4:
      return BigInt(view.getUint32(offset, true));
    case 8:
      return view.getBigUint64(offset, true);
    default:
      return null;
  }
}

function damaged(how: string): Failure {
  return new Failure('pack-damaged', `A zstd frame ${how}.`);
}

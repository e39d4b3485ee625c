import { Failure } from '../failure.ts';

/*
 * The format of a zstd frame: RFC 8878, 3.1.1. It has a header (magic number, descriptor; optional: window, dictionary
 * id, content size), blocks, and an optional checksum.
 */

const MAGIC = 0xfd2fb528;
const MAGIC_BYTES = 4;
/** Bits of the descriptor: the length of the content size, and the optional parts that are present. */
const CONTENT_SIZE_SHIFT = 6;
const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;
const CHECKSUM = 0x04;
const DICTIONARY_ID = 0x03;
const EIGHT_BYTE_CONTENT_SIZE = 3;

const BLOCK_HEADER_BYTES = 3;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/** The header of a frame that was checked to be whole. */
interface FrameHeader {
  descriptor: number;
  blocksOffset: number;
}

/**
 * Throws Failure `pack-damaged` unless these are the bytes of exactly one whole frame, without a dictionary, whose header gives this
 * content size or none. Does not check how much its blocks unpack to.
 */
export function requireFrame(frame: Uint8Array, plainBytes: number): FrameHeader {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length <= MAGIC_BYTES || view.getUint32(0, true) !== MAGIC)
    throw damaged('lacks the magic number');
  const descriptor = view.getUint8(MAGIC_BYTES);
  if ((descriptor & (RESERVED | DICTIONARY_ID)) !== 0)
    throw damaged('needs a dictionary, or has a reserved bit set');
  const blocksOffset = MAGIC_BYTES + 1 + (isSingleSegment(descriptor) ? 0 : 1) + contentSizeBytes(descriptor);
  requireOneFrame(view, blocksOffset, (descriptor & CHECKSUM) === 0 ? 0 : 4);
  const saidBytes = contentBytes(view, descriptor, blocksOffset);
  if (saidBytes !== null && saidBytes !== BigInt(plainBytes))
    throw damaged(`holds ${saidBytes} bytes instead of ${plainBytes}`);
  return { descriptor, blocksOffset };
}

/**
 * The frame with a new header, which says that the content has `plainBytes` bytes and needs no larger window. Then a
 * decoder never returns more, and fails if the blocks hold less or more. Otherwise it could unpack gigabytes from a few
 * kilobytes: the sizes of the blocks do not tell how much they unpack to. Throws as `requireFrame`.
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

/** The content size in the header of a frame; null when the header has none, or this is not a frame. */
export function saidContentBytes(frame: Uint8Array): number | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length <= MAGIC_BYTES || view.getUint32(0, true) !== MAGIC) return null;
  const descriptor = view.getUint8(MAGIC_BYTES);
  const headerBytes = MAGIC_BYTES + 1 + (isSingleSegment(descriptor) ? 0 : 1) + contentSizeBytes(descriptor);
  if ((descriptor & DICTIONARY_ID) !== 0 || frame.length < headerBytes) return null;
  const said = contentBytes(view, descriptor, headerBytes);
  return said === null ? null : Number(said);
}

/** Steps through the blocks. Bytes after the frame are refused: decoders would treat another frame as more content. */
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
  if (offset + checksumBytes !== view.byteLength)
    throw damaged('does not have the length that its blocks give');
}

function isSingleSegment(descriptor: number): boolean {
  return (descriptor & SINGLE_SEGMENT) !== 0;
}

/** The length of the content size field. */
function contentSizeBytes(descriptor: number): number {
  const flag = descriptor >> CONTENT_SIZE_SHIFT;
  return flag === 0 ? Number(isSingleSegment(descriptor)) : 1 << flag;
}

/** The value of that field, the last of the header. */
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

import { Failure } from '../failure.ts';

const MAGIC = 0xfd2fb528;
/** RFC 8878, 3.1.1.2.4: no block regenerates more than this. */
const LARGEST_BLOCK_BYTES = 128 * 1024;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const BLOCK_RAW = 0;
const BLOCK_RLE = 1;
const BLOCK_COMPRESSED = 2;

/**
 * The most bytes that a zstd frame can unpack to, from its block headers alone (RFC 8878, 3.1.1). With it a reader
 * refuses a frame that would fill the memory, before it unpacks anything. Throws Failure `pack-damaged` for
 * anything that is not exactly one whole frame.
 */
export function zstdFrameBoundBytes(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 6 || view.getUint32(0, true) !== MAGIC) throw damaged('does not begin as one');
  let offset = headerBytes(view.getUint8(4));
  const hasChecksum = (view.getUint8(4) & 4) !== 0;
  let boundBytes = 0;
  for (let isLast = false; !isLast;) {
    if (offset + 3 > frame.length) throw damaged('ends too early');
    const header = view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
    isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type > BLOCK_COMPRESSED) throw damaged('has a block of an unknown type');
    offset += 3 + (type === BLOCK_RLE ? 1 : size);
    boundBytes += type === BLOCK_RAW || type === BLOCK_RLE ? size : LARGEST_BLOCK_BYTES;
  }
  if (offset + (hasChecksum ? 4 : 0) !== frame.length) throw damaged('has another length than it says');
  return boundBytes;
}

function headerBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const contentSizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
  return 5 + (isSingleSegment ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + contentSizeBytes;
}

function damaged(how: string): Failure {
  return new Failure('pack-damaged', `a zstd frame ${how}`);
}

import type { ByteReader } from './byte-reader.ts';
import { damagedArchive } from './damaged-archive.ts';

/* The frames of a zstd stream, for workers that unpack one at a time: RFC 8878, 3.1. */

/** A frame whose content is larger is unpacked as a stream instead. */
export const LARGEST_FRAME_BYTES = 8 * 2 ** 20;

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const CHECKSUM = 0x04;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;
const BLOCK_HEADER_BYTES = 3;

/** A whole frame, with the size of its content. */
export interface ZstdFrame {
  compressed: Uint8Array;
  plainBytes: number;
}

/**
 * The frames of a stream. Ends at the end of the stream, and returns null then; or where a frame does not state the size of its content,
 * or is large: it returns the bytes of that frame that were read already. Throws Failure `archive-damaged`.
 */
export async function* zstdFrames(
  reader: ByteReader,
): AsyncGenerator<ZstdFrame, Uint8Array | null, undefined> {
  for (;;) {
    const magicBytes = await reader.take(4);
    if (magicBytes === null) return null;
    const magic = numberOf(magicBytes);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      await reader.skip(numberOf(await required(reader, 4)));
      continue;
    }
    if (magic !== FRAME_MAGIC) throw damagedArchive('has bytes that are no zstd frame');
    const descriptor = await required(reader, 1);
    const flags = descriptor[0] ?? 0;
    const rest = await required(reader, headerBytes(flags));
    const header = Buffer.concat([magicBytes, descriptor, rest]);
    const plainBytes = contentBytes(flags, rest);
    if (plainBytes === null || plainBytes > LARGEST_FRAME_BYTES) return header;
    yield { compressed: await wholeFrame(reader, header, flags, plainBytes), plainBytes };
  }
}

async function required(reader: ByteReader, length: number): Promise<Uint8Array> {
  const bytes = length === 0 ? new Uint8Array() : await reader.take(length);
  if (bytes === null) throw damagedArchive('ends too early');
  return bytes;
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** Bytes of the header behind its descriptor: window, dictionary id, content size. */
function headerBytes(flags: number): number {
  const isSingle = (flags & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0;
  return (isSingle ? 0 : 1) + dictionaryBytes + sizeBytesOf(flags);
}

function sizeBytesOf(flags: number): number {
  const code = flags >> 6;
  return code === 0 ? ((flags & 0x20) === 0 ? 0 : 1) : 1 << code;
}

function contentBytes(flags: number, rest: Uint8Array): number | null {
  const length = sizeBytesOf(flags);
  if (length === 0) return null;
  let value = 0n;
  for (const byte of rest.subarray(rest.length - length).toReversed()) value = (value << 8n) | BigInt(byte);
  return Number(value) + (length === 2 ? 256 : 0);
}

/** Reads the blocks behind the header. */
async function wholeFrame(
  reader: ByteReader,
  header: Uint8Array,
  flags: number,
  plainBytes: number,
): Promise<Uint8Array> {
  const parts = [header];
  let sizeBytes = header.length;
  for (let isLast = false; !isLast;) {
    const head = await required(reader, BLOCK_HEADER_BYTES);
    const word = (head[0] ?? 0) | ((head[1] ?? 0) << 8) | ((head[2] ?? 0) << 16);
    isLast = (word & 1) !== 0;
    const type = (word >> 1) & 3;
    if (type === BLOCK_RESERVED) throw damagedArchive('has a zstd frame that is not valid');
    const content = await required(reader, type === BLOCK_RLE ? 1 : word >> 3);
    parts.push(head, content);
    sizeBytes += head.length + content.length;
    // Incompressible content takes a little more room than without compression. A frame of empty blocks has no end otherwise.
    if (sizeBytes > plainBytes + plainBytes / 8 + 1024)
      throw damagedArchive('has a zstd frame that is longer than its content');
  }
  if ((flags & CHECKSUM) !== 0) parts.push(await required(reader, 4));
  return Buffer.concat(parts);
}

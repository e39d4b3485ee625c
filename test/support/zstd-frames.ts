/** Frames made by hand: RFC 8878, 3.1.1. For what no encoder makes. */

export type Block =
  | { type: 'raw'; content: Uint8Array }
  | { type: 'rle'; byte: number; sizeBytes: number }
  | { type: 'reserved' };

export interface FrameShape {
  blocks: readonly Block[];
  /** What the header says of the content's size; left out: nothing. */
  contentBytes?: number;
}

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** A window of 1 MiB. */
const WINDOW_DESCRIPTOR = 10 << 3;
const typeNumber = { raw: 0, rle: 1, reserved: 3 } as const;

export function zstdFrameOf({ blocks, contentBytes }: FrameShape): Uint8Array {
  const header =
    contentBytes === undefined
      ? Buffer.from([0, WINDOW_DESCRIPTOR])
      : Buffer.concat([Buffer.of(0xe0), size8(contentBytes)]);
  const parts = blocks.map((block, index) => blockBytes(block, index === blocks.length - 1));
  return Buffer.concat([MAGIC, header, ...parts]);
}

function blockBytes(block: Block, isLast: boolean): Buffer {
  const sizeBytes = block.type === 'raw' ? block.content.length : block.type === 'rle' ? block.sizeBytes : 0;
  const header = Buffer.alloc(3);
  header.writeUIntLE(Number(isLast) | (typeNumber[block.type] << 1) | (sizeBytes << 3), 0, 3);
  if (block.type === 'raw') return Buffer.concat([header, block.content]);
  return block.type === 'rle' ? Buffer.concat([header, Buffer.of(block.byte)]) : header;
}

function size8(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Unpacks to `plainBytes` bytes, a whole number of blocks, from four bytes for each 128 KiB. */
export function zstdBomb(plainBytes: number, contentBytes?: number): Uint8Array {
  const block: Block = { type: 'rle', byte: 65, sizeBytes: 2 ** 17 };
  return zstdFrameOf({
    blocks: Array.from({ length: plainBytes / 2 ** 17 }, () => block),
    ...(contentBytes === undefined ? {} : { contentBytes }),
  });
}

/** Data of many kinds, each a challenge of its own to where an encoder splits its blocks. */
export function plainSamples(): Record<string, Buffer> {
  const random = pseudoRandomBytes(2 ** 20);
  const text = Buffer.from(
    Array.from({ length: 30_000 }, (_, line) => `line ${line * 7919}: lorem ipsum ${line % 13}\n`).join(''),
  );
  return {
    'one byte': Buffer.of(7),
    '512 bytes': Buffer.alloc(512, 'sector'),
    'one repeated byte': Buffer.alloc(2 ** 20, 1),
    'mostly zero': Buffer.concat([Buffer.alloc(900_000), random.subarray(0, 5000)]),
    text: text.subarray(0, 2 ** 20),
    'random bytes': random,
    'an odd number of bytes': text.subarray(0, 131_073),
    'a chunk of 2 MiB': Buffer.concat([text.subarray(0, 2 ** 20), random]),
    ...Object.fromEntries(
      [4096, 8192, 12_000, 16_384, 32_768, 65_536].map((grain) => [
        `kinds of data that change every ${grain} bytes`,
        interleaved([random, text, Buffer.alloc(2 ** 18, 3), sqlLike()], grain),
      ]),
    ),
  };
}

function interleaved(kinds: readonly Buffer[], grainBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let done = 0, turn = 0; done < 2 ** 20; done += grainBytes, turn++) {
    const kind = kinds[turn % kinds.length] ?? Buffer.alloc(0);
    const offset = (turn * 4099) % (kind.length - grainBytes);
    parts.push(kind.subarray(offset, offset + grainBytes));
  }
  return Buffer.concat(parts).subarray(0, 2 ** 20);
}

/** Short records with numbers in them, as tables and file systems have. */
function sqlLike(): Buffer {
  const records = Buffer.alloc(2 ** 18);
  for (let offset = 0; offset < records.length; offset += 16) {
    records.writeUInt32LE(offset * 31, offset);
    records.writeUInt32LE(offset >> 7, offset + 4);
    records.writeUInt8((offset * offset) % 251, offset + 9);
  }
  return records;
}

function pseudoRandomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 2463534242;
  for (let offset = 0; offset < length; offset += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    bytes.writeUInt32LE(state, offset);
  }
  return bytes;
}

import { pack as createTar } from 'tar-stream';
import { frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { noSeal, sealPurpose, type Seal } from '../codec/seal.ts';
import type { Frame, FrameChunk } from '../frame/frame.ts';
import {
  contentLimitBytes,
  FORMAT_MEMBER,
  FORMAT_TEXT,
  frameMember,
  memberBytes,
  packIdOf,
  TABLE_LIMIT_BYTES,
  tableMember,
  TAR_BLOCK_BYTES,
} from './pack-format.ts';
import { packedChunksOf, type PackedFrame } from './pack-layout.ts';
import { tableText } from './pack-table.ts';

/** doc/formats.md: a pack is closed by the frame with which it passes this size. */
export const PACK_LIMIT_BYTES = 8 * 2 ** 20;
/** The same for plain bytes, so that packs of very regular data do not become too rare to see progress by. */
export const PACK_PLAIN_LIMIT_BYTES = 128 * 2 ** 20;

/** A whole pack in memory. */
export interface Pack {
  /** The SHA-256 of its bytes. */
  id: string;
  bytes: Uint8Array;
  /** The plain bytes of its chunks. */
  plainBytes: number;
  /** What lies where in it, in order. */
  frames: readonly PackedFrame[];
}

export function packFileName(id: string): string {
  return `${id}.tar`;
}

/** Room for a full pack and the frame that filled it, where frames are of the usual size. */
const OPEN_PACK_BYTES = PACK_LIMIT_BYTES + 2 ** 20 + 2 ** 16;

/** A frame as its two members hold it. */
interface SealedFrame {
  chunks: readonly FrameChunk[];
  table: Uint8Array;
  content: Uint8Array;
}

/** Frames on their way into one pack of bounded size. */
export class OpenPack {
  readonly #seal: Seal;
  #frames: SealedFrame[] = [];
  /** The frames' contents, one after the other; used again for every pack. */
  #memory = new Uint8Array(OPEN_PACK_BYTES);
  #memoryUsed = 0;
  #sizeBytes = 0;
  #plainBytes = 0;

  constructor(seal: Seal = noSeal) {
    this.#seal = seal;
  }

  /** The frame's bytes are copied: what a codec answers with is often a view of much larger memory. */
  add(frame: Frame): void {
    const { chunks, table, content } = sealFrame(frame, this.#seal);
    this.#frames.push({ chunks, table, content: this.#keep(content) });
    this.#sizeBytes += memberBytes(table.length) + memberBytes(content.length);
    this.#plainBytes += plainBytesOf(chunks);
  }

  #keep(bytes: Uint8Array): Uint8Array {
    const end = this.#memoryUsed + bytes.length;
    if (end > this.#memory.length) return new Uint8Array(bytes);
    this.#memory.set(bytes, this.#memoryUsed);
    const kept = this.#memory.subarray(this.#memoryUsed, end);
    this.#memoryUsed = end;
    return kept;
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** Time to close it. */
  get isFull(): boolean {
    return this.#sizeBytes >= PACK_LIMIT_BYTES || this.#plainBytes >= PACK_PLAIN_LIMIT_BYTES;
  }

  /** The pack; this one is empty again afterwards. */
  async close(): Promise<Pack> {
    const frames = this.#frames;
    this.#frames = [];
    this.#sizeBytes = 0;
    this.#plainBytes = 0;
    this.#memoryUsed = 0;
    return packOf(frames, this.#seal);
  }
}

export async function buildPack(frames: readonly Frame[], seal: Seal = noSeal): Promise<Pack> {
  return packOf(
    frames.map((frame) => sealFrame(frame, seal)),
    seal,
  );
}

function sealFrame({ chunks, compressed }: Frame, seal: Seal): SealedFrame {
  return {
    chunks,
    table: seal.seal(sealPurpose.table, Buffer.from(tableText(chunks))),
    content: seal.seal(sealPurpose.frame, compressed),
  };
}

async function packOf(sealed: readonly SealedFrame[], { suffix }: Seal): Promise<Pack> {
  const tar = createTar();
  const parts: Uint8Array[] = [];
  const collecting = (async () => {
    for await (const part of tar as AsyncIterable<Uint8Array>) parts.push(part);
  })();
  let tarBytes = 0;
  /** Answers with where the content begins. */
  const add = (name: string, content: Uint8Array): number => {
    tar.entry(
      { name, mode: 0o600, mtime: new Date(0) },
      Buffer.from(content.buffer, content.byteOffset, content.length),
    );
    const offsetBytes = tarBytes + TAR_BLOCK_BYTES;
    tarBytes += memberBytes(content.length);
    return offsetBytes;
  };
  add(FORMAT_MEMBER, Buffer.from(FORMAT_TEXT));
  const frames: PackedFrame[] = [];
  let plainBytes = 0;
  for (const [number, { chunks, table, content }] of sealed.entries()) {
    add(tableMember(number, suffix), table);
    const offsetBytes = add(frameMember(number, suffix), content);
    frames.push({ offsetBytes, sizeBytes: content.length, chunks: packedChunksOf(chunks) });
    plainBytes += plainBytesOf(chunks);
  }
  tar.finalize();
  await collecting;
  const bytes = joined(parts);
  return { id: packIdOf([bytes]), bytes, plainBytes, frames };
}

/** In memory of its own, so that it can be handed to another thread. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function plainBytesOf(chunks: readonly FrameChunk[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** The most bytes that a pack of such an image can have: more than that need not be read to be refused. */
export function packLimitBytes(grid: ChunkGrid): number {
  return PACK_LIMIT_BYTES + TABLE_LIMIT_BYTES + contentLimitBytes(frameLimitBytes(grid));
}

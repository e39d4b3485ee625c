import { pack as createTar } from 'tar-stream';
import { frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { sealPurpose, type Seal } from '../seal/seal.ts';
import { noSeal } from '../seal/seal-for.ts';
import type { Frame, FrameChunk } from './frame.ts';
import {
  contentLimitBytes,
  FORMAT_MEMBER,
  FORMAT_TEXT,
  frameMember,
  memberBytes,
  namePack,
  TABLE_LIMIT_BYTES,
  tableMember,
  type PackNaming,
  TAR_BLOCK_BYTES,
  TAR_END_BYTES,
} from './pack-format.ts';
import { PackMemory } from './pack-memory.ts';
import { packedChunksOf, type PackedFrame } from './pack-layout.ts';
import { tableText } from './pack-table.ts';

/** A pack is closed when it passes this size (doc/formats.md). */
export const PACK_LIMIT_BYTES = 8 * 2 ** 20;
/** The same for plain bytes. Otherwise data that compresses very well would fill a pack too seldom to show progress. */
export const PACK_PLAIN_LIMIT_BYTES = 128 * 2 ** 20;

/** A whole pack in memory. */
export interface Pack {
  /** 64 hexadecimal digits: the SHA-256 of its bytes, or random (`PackNaming`). */
  id: string;
  /** In memory of its own, so that it can be handed to another thread. */
  bytes: Uint8Array;
  /** The plain bytes of its chunks. */
  plainBytes: number;
  /** Its frames, in order. */
  frames: readonly PackedFrame[];
}

export function packFileName(id: string): string {
  return `${id}.tar`;
}

/** Room for a full pack and the frame that filled it, if frames have the usual size. */
const OPEN_PACK_BYTES = PACK_LIMIT_BYTES + 2 ** 20 + 2 ** 16;

/** A member of a pack, which is a tar file. */
interface Member {
  name: string;
  /** Where its content begins. */
  offsetBytes: number;
  sizeBytes: number;
}

/** A pack of bounded size that frames are added to. */
export class OpenPack {
  readonly #seal: Seal;
  readonly #packMemory: PackMemory;
  readonly #naming: PackNaming;
  readonly #limitBytes: number;
  /** The contents of the members, each at its place in the pack file; the bytes between them are undefined. */
  #memory = new Uint8Array();
  #members: Member[] = [];
  #frames: PackedFrame[] = [];
  #plainBytes = 0;

  /** @param limitBytes it is full when it passes this size, at most `PACK_LIMIT_BYTES` */
  constructor(
    seal: Seal = noSeal,
    packMemory = new PackMemory(),
    naming: PackNaming = 'sha256',
    limitBytes = PACK_LIMIT_BYTES,
  ) {
    this.#limitBytes = limitBytes;
    this.#seal = seal;
    this.#packMemory = packMemory;
    this.#naming = naming;
  }

  /** Copies the frame's bytes: a codec often returns a view of much larger memory. */
  add({ chunks, compressed }: Frame): void {
    const number = this.#frames.length;
    this.#begin();
    const table = this.#seal.seal(sealPurpose.table, Buffer.from(tableText(chunks)));
    this.#keep(tableMember(number, this.#seal.suffix), table);
    const content = this.#seal.seal(sealPurpose.frame, compressed);
    const { offsetBytes, sizeBytes } = this.#keep(frameMember(number, this.#seal.suffix), content);
    this.#frames.push({ offsetBytes, sizeBytes, chunks: packedChunksOf(chunks) });
    this.#plainBytes += plainBytesOf(chunks);
  }

  #begin(): void {
    if (this.#members.length === 0) this.#keep(FORMAT_MEMBER, Buffer.from(FORMAT_TEXT));
  }

  #keep(name: string, content: Uint8Array): Member {
    const member = { name, offsetBytes: this.#endBytes + TAR_BLOCK_BYTES, sizeBytes: content.length };
    this.#members.push(member);
    const neededBytes = this.#endBytes + TAR_END_BYTES;
    if (neededBytes > this.#memory.length) {
      const memory = this.#packMemory.take(Math.max(neededBytes, OPEN_PACK_BYTES, 2 * this.#memory.length));
      memory.set(this.#memory);
      this.#memory = memory;
    }
    this.#memory.set(content, member.offsetBytes);
    return member;
  }

  /** Where the last member ends. */
  get #endBytes(): number {
    const last = this.#members.at(-1);
    return last === undefined ? 0 : last.offsetBytes - TAR_BLOCK_BYTES + memberBytes(last.sizeBytes);
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** Whether the pack is full and must be closed. */
  get isFull(): boolean {
    const framesBytes = this.#endBytes - memberBytes(FORMAT_TEXT.length);
    return framesBytes >= this.#limitBytes || this.#plainBytes >= PACK_PLAIN_LIMIT_BYTES;
  }

  /** Returns the pack, and begins an empty one. */
  async close(): Promise<Pack> {
    this.#begin();
    const bytes = this.#memory.subarray(0, this.#endBytes + TAR_END_BYTES);
    const members = this.#members;
    const [frames, plainBytes] = [this.#frames, this.#plainBytes];
    this.#memory = new Uint8Array();
    this.#members = [];
    this.#frames = [];
    this.#plainBytes = 0;
    await writeHeaders(bytes, members);
    return { id: namePack(bytes, this.#naming), bytes, plainBytes, frames };
  }
}

export async function buildPack(frames: readonly Frame[], seal: Seal = noSeal): Promise<Pack> {
  const pack = new OpenPack(seal);
  for (const frame of frames) pack.add(frame);
  return pack.close();
}

/** Writes the tar headers between the contents of the members, which are in place already. */
async function writeHeaders(bytes: Uint8Array, members: readonly Member[]): Promise<void> {
  const tar = createTar();
  for (const { name, offsetBytes, sizeBytes } of members)
    tar.entry(
      { name, mode: 0o600, mtime: new Date(0) },
      Buffer.from(bytes.buffer, bytes.byteOffset + offsetBytes, sizeBytes),
    );
  tar.finalize();
  let offset = 0;
  for await (const part of tar as AsyncIterable<Uint8Array>) {
    if (part.buffer !== bytes.buffer) bytes.set(part, offset);
    offset += part.length;
  }
}

function plainBytesOf(chunks: readonly FrameChunk[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** The most bytes that a pack of such an image can have. A longer file is refused without reading it. */
export function packLimitBytes(grid: ChunkGrid): number {
  return PACK_LIMIT_BYTES + TABLE_LIMIT_BYTES + contentLimitBytes(frameLimitBytes(grid));
}

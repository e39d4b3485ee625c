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

/** doc/formats.md: a pack is closed by the frame with which it passes this size. */
export const PACK_LIMIT_BYTES = 8 * 2 ** 20;
/** The same for plain bytes, so that packs of very regular data do not become too rare to see progress by. */
export const PACK_PLAIN_LIMIT_BYTES = 128 * 2 ** 20;

/** A whole pack in memory. */
export interface Pack {
  /** 64 hexadecimal digits: the SHA-256 of its bytes, unless it was named otherwise. */
  id: string;
  /** In memory of its own, so that it can be handed to another thread. */
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

/** A member of the tar file that a pack is. */
interface Member {
  name: string;
  /** Where its content begins. */
  offsetBytes: number;
  sizeBytes: number;
}

/** Frames on their way into one pack of bounded size. */
export class OpenPack {
  readonly #seal: Seal;
  readonly #packMemory: PackMemory;
  readonly #naming: PackNaming;
  /** The contents of its members, each at its place in the pack's file; around them it is anything. */
  #memory = new Uint8Array();
  #members: Member[] = [];
  #frames: PackedFrame[] = [];
  #plainBytes = 0;

  constructor(seal: Seal = noSeal, packMemory = new PackMemory(), naming: PackNaming = 'sha256') {
    this.#seal = seal;
    this.#packMemory = packMemory;
    this.#naming = naming;
  }

  /** The frame's bytes are copied: what a codec answers with is often a view of much larger memory. */
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

  /** Of the last member. */
  get #endBytes(): number {
    const last = this.#members.at(-1);
    return last === undefined ? 0 : last.offsetBytes - TAR_BLOCK_BYTES + memberBytes(last.sizeBytes);
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** Time to close it. */
  get isFull(): boolean {
    const framesBytes = this.#endBytes - memberBytes(FORMAT_TEXT.length);
    return framesBytes >= PACK_LIMIT_BYTES || this.#plainBytes >= PACK_PLAIN_LIMIT_BYTES;
  }

  /** The pack; this one is empty again afterwards. */
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

/** Makes a tar file of memory in which the contents of its members are at their places already. */
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

/** The most bytes that a pack of such an image can have: more than that need not be read to be refused. */
export function packLimitBytes(grid: ChunkGrid): number {
  return PACK_LIMIT_BYTES + TABLE_LIMIT_BYTES + contentLimitBytes(frameLimitBytes(grid));
}

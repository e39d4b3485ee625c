import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack as createTar } from 'tar-stream';
import { chunkLength, frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { CHUNK_ID_BYTES } from '../chunk/chunk-id.ts';
import { Failure } from '../failure.ts';
import type { Frame, FrameChunk } from '../frame/frame.ts';

/** doc/formats.md: a pack is closed by the frame with which it passes this size. */
export const PACK_LIMIT_BYTES = 8 * 2 ** 20;
/** The same for plain bytes, so that packs of very regular data do not become too rare to see progress by. */
export const PACK_PLAIN_LIMIT_BYTES = 128 * 2 ** 20;
const FORMAT_MEMBER = 'vmferry-pack';
const FORMAT_TEXT = 'vmferry-pack 1\n';
/** No table of a frame comes near this. */
const TABLE_LIMIT_BYTES = 2 ** 20;
const TAR_BLOCK_BYTES = 512;

/** A whole pack in memory. */
export interface Pack {
  /** The SHA-256 of its bytes. */
  id: string;
  bytes: Uint8Array;
  /** The plain bytes of its chunks. */
  plainBytes: number;
}

export function packFileName(id: string): string {
  return `${id}.tar`;
}

/** Room for a full pack and the frame that filled it, where frames are of the usual size. */
const OPEN_PACK_BYTES = PACK_LIMIT_BYTES + 2 ** 20 + 2 ** 16;

/** Frames on their way into one pack of bounded size. */
export class OpenPack {
  #frames: Frame[] = [];
  /** The frames' compressed bytes, one after the other; used again for every pack. */
  #memory = new Uint8Array(OPEN_PACK_BYTES);
  #memoryUsed = 0;
  #sizeBytes = 0;
  #plainBytes = 0;

  /** The frame's bytes are copied: what a codec answers with is often a view of much larger memory. */
  add(frame: Frame): void {
    this.#frames.push({ chunks: frame.chunks, compressed: this.#keep(frame.compressed) });
    this.#sizeBytes += memberBytes(tableText(frame.chunks).length) + memberBytes(frame.compressed.length);
    this.#plainBytes += plainBytesOf(frame);
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
    return buildPack(frames);
  }
}

export async function buildPack(frames: readonly Frame[]): Promise<Pack> {
  const tar = createTar();
  const parts: Uint8Array[] = [];
  const collecting = (async () => {
    for await (const part of tar as AsyncIterable<Uint8Array>) parts.push(part);
  })();
  const add = (name: string, content: Uint8Array) =>
    tar.entry(
      { name, mode: 0o600, mtime: new Date(0) },
      Buffer.from(content.buffer, content.byteOffset, content.length),
    );
  add(FORMAT_MEMBER, Buffer.from(FORMAT_TEXT));
  for (const [number, frame] of frames.entries()) {
    add(`${memberNumber(number)}.table`, Buffer.from(tableText(frame.chunks)));
    add(`${memberNumber(number)}.zst`, frame.compressed);
  }
  tar.finalize();
  await collecting;
  const bytes = joined(parts);
  const plainBytes = frames.reduce((sum, frame) => sum + plainBytesOf(frame), 0);
  return { id: sha256([bytes]), bytes, plainBytes };
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

function sha256(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function plainBytesOf(frame: Frame): number {
  return frame.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** The most bytes that a pack of such an image can have: more than that need not be read to be refused. */
export function packLimitBytes(grid: ChunkGrid): number {
  return PACK_LIMIT_BYTES + TABLE_LIMIT_BYTES + compressedLimitBytes(grid);
}

/**
 * The frames of a pack of an image with this grid, in order. `parts` are the whole pack, cut anywhere: it is compared
 * with its id before anything of it is used. Throws Failure `pack-damaged` for anything but a well-formed pack.
 */
export async function* readPack(
  id: string,
  parts: readonly Uint8Array[],
  grid: ChunkGrid,
): AsyncGenerator<Frame, void, undefined> {
  if (sha256(parts) !== id) throw damaged(id, 'does not match its SHA-256');
  const members = readMembers(Readable.from(parts), grid);
  try {
    yield* framesOf(id, members, grid);
  } finally {
    await members.return();
  }
}

async function* framesOf(
  id: string,
  members: AsyncIterator<Member, void, undefined>,
  grid: ChunkGrid,
): AsyncGenerator<Frame, void, undefined> {
  const first = await members.next();
  if (
    first.done === true ||
    first.value.name !== FORMAT_MEMBER ||
    first.value.content.toString() !== FORMAT_TEXT
  ) {
    throw damaged(id, 'does not begin as a pack of version 1');
  }
  for (let number = 0; ; number++) {
    const table = await members.next();
    if (table.done === true) return;
    const frame = await members.next();
    const isExpected =
      frame.done !== true &&
      table.value.name === `${memberNumber(number)}.table` &&
      frame.value.name === `${memberNumber(number)}.zst`;
    if (!isExpected) throw damaged(id, `has not the members of frame ${number}`);
    const chunks = parseTable(table.value.content.toString('latin1'), grid);
    if (chunks === null) throw damaged(id, `has a bad table at frame ${number}`);
    yield { chunks, compressed: frame.value.content };
  }
}

/** zstd never makes data this much larger. */
function compressedLimitBytes(grid: ChunkGrid): number {
  return 2 * frameLimitBytes(grid);
}

interface Member {
  name: string;
  content: Buffer;
}

async function* readMembers(source: Readable, grid: ChunkGrid): AsyncGenerator<Member, void, undefined> {
  const tar = extract();
  const feeding = pipeline(source, tar);
  feeding.catch(() => undefined);
  try {
    for await (const entry of tar) {
      const { name, size, type } = entry.header;
      const limitBytes = name.endsWith('.zst') ? compressedLimitBytes(grid) : TABLE_LIMIT_BYTES;
      if (type !== 'file' || size > limitBytes)
        throw new Failure('pack-damaged', `A pack has the odd member ${name}.`);
      const content = Buffer.alloc(size);
      let filled = 0;
      for await (const part of entry as AsyncIterable<Uint8Array>) {
        content.set(part, filled);
        filled += part.length;
      }
      yield { name, content };
    }
    await feeding;
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('pack-damaged', 'A pack is not a readable tar file.', { cause: error });
  } finally {
    source.destroy();
  }
}

/** What a member takes in the tar file: its header, and its content up to a whole block. */
function memberBytes(contentBytes: number): number {
  return TAR_BLOCK_BYTES * (1 + Math.ceil(contentBytes / TAR_BLOCK_BYTES));
}

function tableText(chunks: readonly FrameChunk[]): string {
  return chunks
    .map(({ position, id, length }) => `${position} ${Buffer.from(id).toString('hex')} ${length}\n`)
    .join('');
}

function parseTable(text: string, grid: ChunkGrid): FrameChunk[] | null {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length === 0) return null;
  const chunks: FrameChunk[] = [];
  let plainBytes = 0;
  for (const line of lines) {
    const [, positionText = '', idText = '', lengthText = ''] =
      /^(0|[1-9][0-9]{0,15}) ([0-9a-f]{64}) ([1-9][0-9]{0,15})$/.exec(line) ?? [];
    const position = Number(positionText);
    const length = Number(lengthText);
    const isInImage = position < grid.chunkCount && chunkLength(grid, position) === length;
    if (idText === '' || position <= (chunks.at(-1)?.position ?? -1) || !isInImage) return null;
    plainBytes += length;
    const id = new Uint8Array(CHUNK_ID_BYTES);
    id.set(Buffer.from(idText, 'hex'));
    chunks.push({ position, id, length });
  }
  return plainBytes <= frameLimitBytes(grid) ? chunks : null;
}

function memberNumber(number: number): string {
  return String(number).padStart(5, '0');
}

function damaged(id: string, how: string): Failure {
  return new Failure('pack-damaged', `The pack ${id.slice(0, 12)}… ${how}.`);
}

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack as createTar } from 'tar-stream';
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

/** A whole pack in memory: its id is the SHA-256 of `parts`, one after the other. */
export interface Pack {
  id: string;
  sizeBytes: number;
  parts: readonly Uint8Array[];
  /** The plain bytes of its chunks. */
  plainBytes: number;
}

export function packFileName(id: string): string {
  return `${id}.tar`;
}

/** Collects frames into packs of bounded size. */
export async function* packFrames(
  frames: AsyncIterable<Frame>,
  limitBytes = PACK_LIMIT_BYTES,
): AsyncIterable<Pack> {
  let collected: Frame[] = [];
  let collectedBytes = 0;
  let plainBytes = 0;
  for await (const frame of frames) {
    collected.push(frame);
    collectedBytes += memberBytes(tableText(frame.chunks).length) + memberBytes(frame.compressed.length);
    plainBytes += plainBytesOf(frame);
    if (collectedBytes >= limitBytes || plainBytes >= PACK_PLAIN_LIMIT_BYTES) {
      yield await buildPack(collected);
      collected = [];
      collectedBytes = 0;
      plainBytes = 0;
    }
  }
  if (collected.length > 0) yield await buildPack(collected);
}

export async function buildPack(frames: readonly Frame[]): Promise<Pack> {
  const tar = createTar();
  const parts: Uint8Array[] = [];
  const hash = createHash('sha256');
  const collecting = (async () => {
    for await (const part of tar as AsyncIterable<Uint8Array>) {
      hash.update(part);
      parts.push(part);
    }
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
  return {
    id: hash.digest('hex'),
    sizeBytes: parts.reduce((sum, part) => sum + part.length, 0),
    parts,
    plainBytes: frames.reduce((sum, frame) => sum + plainBytesOf(frame), 0),
  };
}

function plainBytesOf(frame: Frame): number {
  return frame.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** What a reader of a pack must know of the image, so that no table can lead it outside. */
export interface PackBounds {
  /** The chunk's plain length, or null where the image has no such chunk. */
  lengthOf: (position: number) => number | null;
  frameLimitBytes: number;
}

/**
 * The frames of a pack, in order. Throws Failure `pack-damaged` for anything but a well-formed pack. The pack's own
 * SHA-256 is compared at the end, so what was yielded may be used only if this ends without a failure.
 */
export async function* readPack(
  id: string,
  source: AsyncIterable<Uint8Array>,
  bounds: PackBounds,
): AsyncGenerator<Frame, void, undefined> {
  const hash = createHash('sha256');
  const limitBytes = PACK_LIMIT_BYTES + TABLE_LIMIT_BYTES + compressedLimitBytes(bounds);
  const hashed = (async function* () {
    let sizeBytes = 0;
    for await (const part of source) {
      sizeBytes += part.length;
      if (sizeBytes > limitBytes) throw damaged(id, 'is larger than any pack');
      hash.update(part);
      yield part;
    }
  })();
  const members = readMembers(Readable.from(hashed), bounds);
  try {
    yield* framesOf(id, members, bounds);
  } finally {
    await members.return();
  }
  if (hash.digest('hex') !== id) throw damaged(id, 'does not match its SHA-256');
}

async function* framesOf(
  id: string,
  members: AsyncIterator<Member, void, undefined>,
  bounds: PackBounds,
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
    const chunks = parseTable(table.value.content.toString('latin1'), bounds);
    if (chunks === null) throw damaged(id, `has a bad table at frame ${number}`);
    yield { chunks, compressed: frame.value.content };
  }
}

/** zstd never makes data this much larger. */
function compressedLimitBytes({ frameLimitBytes }: PackBounds): number {
  return 2 * frameLimitBytes;
}

interface Member {
  name: string;
  content: Buffer;
}

async function* readMembers(source: Readable, bounds: PackBounds): AsyncGenerator<Member, void, undefined> {
  const tar = extract();
  const feeding = pipeline(source, tar);
  feeding.catch(() => undefined);
  try {
    for await (const entry of tar) {
      const { name, size, type } = entry.header;
      const limitBytes = name.endsWith('.zst') ? compressedLimitBytes(bounds) : TABLE_LIMIT_BYTES;
      if (type !== 'file' || size > limitBytes)
        throw new Failure('pack-damaged', `a pack has the odd member ${name}`);
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
    throw new Failure('pack-damaged', 'a pack is not a readable tar file', { cause: error });
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

function parseTable(text: string, bounds: PackBounds): FrameChunk[] | null {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length === 0) return null;
  const chunks: FrameChunk[] = [];
  let plainBytes = 0;
  for (const line of lines) {
    const [, positionText = '', idText = '', lengthText = ''] =
      /^(0|[1-9][0-9]{0,15}) ([0-9a-f]{64}) ([1-9][0-9]{0,15})$/.exec(line) ?? [];
    const position = Number(positionText);
    const length = Number(lengthText);
    if (idText === '' || position <= (chunks.at(-1)?.position ?? -1) || bounds.lengthOf(position) !== length)
      return null;
    plainBytes += length;
    const id = new Uint8Array(CHUNK_ID_BYTES);
    id.set(Buffer.from(idText, 'hex'));
    chunks.push({ position, id, length });
  }
  return plainBytes <= bounds.frameLimitBytes ? chunks : null;
}

function memberNumber(number: number): string {
  return String(number).padStart(5, '0');
}

function damaged(id: string, how: string): Failure {
  return new Failure('pack-damaged', `the pack ${id.slice(0, 12)}… ${how}`);
}

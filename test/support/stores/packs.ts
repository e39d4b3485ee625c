import { createHash } from 'node:crypto';
import { pack as createTar, type Header } from 'tar-stream';
import { buildPack } from '../../../src/pack/pack.ts';
import { readPack } from '../../../src/pack/read-pack.ts';
import type { ChunkGrid } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import type { Zstd } from '../../../src/codec/zstd.ts';
import type { Frame } from '../../../src/pack/frame.ts';

/** A frame of these chunks of an image. */
export function frameOf(chunks: ReadonlyMap<number, Uint8Array>, zstd: Zstd): Frame {
  const rows = [...chunks].map(([position, plain]) => ({
    position,
    id: chunkId(plain),
    length: plain.length,
  }));
  return { chunks: rows, compressed: zstd.compress(Buffer.concat([...chunks.values()]), 3) };
}

/** A pack as one piece of bytes. */
export async function packBytes(frames: readonly Frame[]): Promise<{ id: string; bytes: Buffer }> {
  const { id, bytes } = await buildPack(frames);
  return { id, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The bytes in pieces that end at the given places. */
export function inPieces(bytes: Uint8Array, places: readonly number[] = []): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/** Reads the pack to its end, as a receiver does. */
export async function readAll(id: string, parts: readonly Uint8Array[], grid: ChunkGrid): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of readPack(id, parts, grid)) frames.push(frame);
  return frames;
}

export interface TarMember extends Partial<Header> {
  name: string;
  content: Uint8Array | string;
}

/** A tar file of any members, odd ones too. */
export async function tarOf(members: readonly TarMember[]): Promise<Buffer> {
  const tar = createTar();
  for (const { content, ...header } of members) {
    if (header.type === undefined || header.type === 'file') tar.entry(header, Buffer.from(content));
    else tar.entry(header);
  }
  tar.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of tar as AsyncIterable<Uint8Array>) parts.push(part);
  return Buffer.concat(parts);
}

/** Reads headers by hand, so that tests damage exactly what they intend to. */
export function tarMembersOf(bytes: Uint8Array): TarMember[] {
  const tar = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: TarMember[] = [];
  for (let offset = 0; tar[offset] !== 0;) {
    const name = tar.toString('latin1', offset, tar.indexOf(0, offset));
    const size = parseInt(tar.toString('latin1', offset + 124, offset + 135), 8);
    found.push({ name, content: tar.subarray(offset + 512, offset + 512 + size) });
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

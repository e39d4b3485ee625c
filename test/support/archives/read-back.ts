import { createHash } from 'node:crypto';
import { readArchive } from '../../../src/archive/read-archive.ts';
import { ByteReader } from '../../../src/codec/byte-reader.ts';

/** The bytes in pieces of this size. */
export async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    await Promise.resolve();
    yield bytes.subarray(start, start + pieceBytes);
  }
}

export interface UnpackedMember {
  name: string;
  content: Buffer;
  dataBytes: number;
}

/** All members of an archive, in memory. Refuses to make more than 64 MiB of it. */
export async function unpackTar(tar: Uint8Array, pieceBytes = 10_000): Promise<UnpackedMember[]> {
  const members: UnpackedMember[] = [];
  for await (const { name, sizeBytes, dataBytes, data } of readArchive(
    new ByteReader(inPieces(tar, pieceBytes)),
  )) {
    const content = Buffer.alloc(Math.min(sizeBytes, 64 * 2 ** 20));
    for await (const { offset, bytes } of data()) content.set(bytes, offset);
    members.push({ name, content, dataBytes });
  }
  return members;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

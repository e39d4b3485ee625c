import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import { sealPurpose, type Seal } from '../seal/seal.ts';
import { noSeal } from '../seal/seal-for.ts';
import { Failure } from '../failure.ts';
import type { Frame } from './frame.ts';
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
  TAR_END_BYTES,
} from './pack-format.ts';
import { framesOfAnyGrid, framesOfGrid, parseTable, type FrameRules } from './pack-table.ts';

/**
 * The frames of a pack of an image with this grid, in order. `parts` are the whole pack, cut anywhere. The pack is not
 * compared with its id; its chunks are, when they are read back. Throws Failure `pack-damaged` for anything but a
 * well-formed pack.
 */
export function readPack(
  id: string,
  parts: readonly Uint8Array[],
  grid: ChunkGrid,
): AsyncGenerator<Frame, void, undefined> {
  return framesOf(id, parts, noSeal, framesOfGrid(grid));
}

/** A frame of a pack in a store, unsealed, and where in the pack its sealed bytes lie. */
export interface StoredFrame extends Frame {
  offsetBytes: number;
  sizeBytes: number;
}

/**
 * The frames of a pack in a store, of any images, unsealed, in order. `parts` are the whole pack, cut anywhere. The pack
 * is compared with its id first; its chunks are not compared with theirs. Throws Failure `pack-damaged` for anything but a
 * well-formed pack.
 */
export async function* readStoredPack(
  id: string,
  parts: readonly Uint8Array[],
  seal: Seal,
): AsyncGenerator<StoredFrame, void, undefined> {
  if (packIdOf(parts) !== id) throw damaged(id, 'does not match its SHA-256');
  yield* storedFramesOf(id, parts, seal);
}

/** The same without comparing the pack with its id: for a damaged pack, the frames before the damage. */
export async function* storedFramesOf(
  id: string,
  parts: readonly Uint8Array[],
  seal: Seal,
): AsyncGenerator<StoredFrame, void, undefined> {
  let endBytes = 0;
  for await (const frame of framesOf(id, parts, seal, framesOfAnyGrid)) {
    endBytes = frame.offsetBytes + memberBytes(frame.sizeBytes) - TAR_BLOCK_BYTES;
    yield frame;
  }
  // With other members in the tar file, the frames would not lie at the offsets computed here.
  if (endBytes + TAR_END_BYTES !== sizeOf(parts)) throw damaged(id, 'has more in it than frames');
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

async function* framesOf(
  id: string,
  parts: readonly Uint8Array[],
  seal: Seal,
  rules: FrameRules,
): AsyncGenerator<StoredFrame, void, undefined> {
  // A header may lie: no member is larger than the pack.
  const frameBytes = Math.min(contentLimitBytes(rules.limitBytes), sizeOf(parts));
  const members = readMembers(Readable.from(parts), (name) =>
    name === FORMAT_MEMBER || name.includes('.table') ? TABLE_LIMIT_BYTES : frameBytes,
  );
  try {
    const first = await members.next();
    if (
      first.done === true ||
      first.value.name !== FORMAT_MEMBER ||
      first.value.content.toString() !== FORMAT_TEXT
    ) {
      throw damaged(id, 'does not begin as a pack of version 1');
    }
    let endBytes = memberBytes(first.value.content.length);
    for (let number = 0; ; number++) {
      const table = await members.next();
      if (table.done === true) return;
      const frame = await members.next();
      const isExpected =
        frame.done !== true &&
        table.value.name === tableMember(number, seal.suffix) &&
        frame.value.name === frameMember(number, seal.suffix);
      if (!isExpected) throw damaged(id, `has not the members of frame ${number}`);
      const text = unsealed(id, seal, sealPurpose.table, table.value.content);
      const chunks = parseTable(Buffer.from(text).toString('latin1'), rules);
      if (chunks === null) throw damaged(id, `has a bad table at frame ${number}`);
      const compressed = unsealed(id, seal, sealPurpose.frame, frame.value.content);
      const offsetBytes = endBytes + memberBytes(table.value.content.length) + TAR_BLOCK_BYTES;
      const sizeBytes = frame.value.content.length;
      yield { chunks, compressed, offsetBytes, sizeBytes };
      endBytes = offsetBytes - TAR_BLOCK_BYTES + memberBytes(sizeBytes);
    }
  } finally {
    await members.return();
  }
}

function unsealed(id: string, seal: Seal, purpose: string, content: Uint8Array): Uint8Array {
  try {
    return seal.open(purpose, content);
  } catch (error) {
    throw damaged(id, 'holds what was not sealed with the key of this store', error);
  }
}

interface Member {
  name: string;
  content: Buffer;
}

async function* readMembers(
  source: Readable,
  limitBytesOf: (name: string) => number,
): AsyncGenerator<Member, void, undefined> {
  const tar = extract();
  const feeding = pipeline(source, tar);
  feeding.catch(() => undefined);
  try {
    for await (const entry of tar) {
      const { name, size, type } = entry.header;
      if (type !== 'file' || size > limitBytesOf(name))
        throw new Failure('pack-damaged', `A pack has the odd member ${name}.`);
      const parts: Uint8Array[] = [];
      for await (const part of entry as AsyncIterable<Uint8Array>) parts.push(part);
      yield { name, content: wholeOf(parts, size) };
    }
    await feeding;
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('pack-damaged', 'A pack is not a readable tar file.', { cause: error });
  } finally {
    source.destroy();
  }
}

/** Returns a view, not a copy, if the bytes lie in one piece already. */
function wholeOf(parts: readonly Uint8Array[], sizeBytes: number): Buffer {
  const [first] = parts;
  if (first === undefined || parts.length > 1) return Buffer.concat(parts, sizeBytes);
  return Buffer.from(first.buffer, first.byteOffset, first.length);
}

function damaged(id: string, how: string, cause?: unknown): Failure {
  return new Failure('pack-damaged', `The pack ${id.slice(0, 12)}… ${how}.`, { cause });
}

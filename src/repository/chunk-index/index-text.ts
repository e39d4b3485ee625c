import { hash } from 'node:crypto';
import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import { Failure } from '../../failure.ts';
import type { IndexedFrame, IndexedPack } from './chunk-index.ts';

const HEADER = 'vmferry-index 1';
/** Limit for the text of an index file. The largest that vmferry writes has 64 packs of some 2,000 chunks: 10 MiB. */
export const INDEX_LIMIT_BYTES = 16 * 2 ** 20;
const EMPTY = 'has a frame without chunks, or a pack without frames';
/** More bytes than any pack, frame or chunk has. */
const MOST_BYTES = 2 ** 31;

/** The text of an index file: doc/store.md. */
export function indexText(packs: Iterable<IndexedPack>): string {
  let text = `${HEADER}\n`;
  for (const pack of packs) {
    text += `pack ${pack.id} ${pack.sizeBytes}\n`;
    for (const { offsetBytes, sizeBytes, chunks } of pack.frames) {
      text += `frame ${offsetBytes} ${sizeBytes}\n`;
      const ids = Buffer.from(chunks.ids.buffer, chunks.ids.byteOffset, chunks.ids.length).toString('hex');
      for (const [number, length] of chunks.lengths.entries()) {
        const digit = number * CHUNK_ID_BYTES * 2;
        text += `chunk ${ids.slice(digit, digit + CHUNK_ID_BYTES * 2)} ${length}\n`;
      }
    }
  }
  return text;
}

/** Equal digests: two index files or tables say the same about a pack. */
export function packDigest(pack: IndexedPack): string {
  return hash('sha256', indexText([pack]), 'base64');
}

/** The packs of an index file. Throws Failure `store-damaged` if it is not well-formed. */
export function parseIndexText(text: string): IndexedPack[] {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.shift() !== HEADER) throw damaged('has a wrong beginning or end');
  const packs: PackInTheMaking[] = [];
  for (const line of lines) {
    const [word, first = '', second = '', ...more] = line.split(' ');
    const pack = packs.at(-1);
    if ((word === 'pack' || word === 'frame') && lacksChunk(pack, word)) throw damaged(EMPTY);
    if (more.length > 0) throw damaged(`has the invalid line ${JSON.stringify(line.slice(0, 100))}`);
    if (word === 'pack' && isId(first))
      packs.push({
        id: first,
        sizeBytes: number(second, line),
        offsets: [],
        sizes: [],
        firsts: [],
        ids: [],
        lengths: [],
      });
    else if (word === 'frame' && pack !== undefined) {
      pack.offsets.push(number(first, line));
      pack.sizes.push(number(second, line));
      pack.firsts.push(pack.lengths.length);
    } else if (word === 'chunk' && pack !== undefined && pack.offsets.length > 0 && isId(first)) {
      pack.ids.push(first);
      pack.lengths.push(number(second, line));
    } else throw damaged(`has the invalid line ${JSON.stringify(line.slice(0, 100))}`);
  }
  if (lacksChunk(packs.at(-1), 'pack')) throw damaged(EMPTY);
  return packs.map(finished);
}

/**
 * Whether the pack still lacks a frame, or its last frame lacks a chunk. Empty packs and frames are refused:
 * each would need more memory than its line has bytes.
 */
function lacksChunk(pack: PackInTheMaking | undefined, next: 'pack' | 'frame'): boolean {
  if (pack === undefined) return false;
  const lastFirst = pack.firsts.at(-1);
  return lastFirst === undefined ? next === 'pack' : lastFirst === pack.lengths.length;
}

interface PackInTheMaking {
  id: string;
  sizeBytes: number;
  /** For each frame: its offset and size in bytes, and the number of its first chunk. */
  offsets: number[];
  sizes: number[];
  firsts: number[];
  /** For each chunk of the pack. */
  ids: string[];
  lengths: number[];
}

/** Packs the columns into few arrays, because a prune keeps all packs in memory. Frames are made whenever they are asked for. */
function finished({ id, sizeBytes, ...columns }: PackInTheMaking): IndexedPack {
  const offsets = Uint32Array.from(columns.offsets);
  const sizes = Uint32Array.from(columns.sizes);
  const firsts = Uint32Array.from(columns.firsts);
  const lengths = Uint32Array.from(columns.lengths);
  const ids = new Uint8Array(Buffer.from(columns.ids.join(''), 'hex'));
  return {
    id,
    sizeBytes,
    get frames(): IndexedFrame[] {
      return Array.from(offsets, (offsetBytes, frame): IndexedFrame => {
        const [first, end] = [firsts[frame] ?? 0, firsts[frame + 1] ?? lengths.length];
        const chunks = {
          ids: ids.subarray(first * CHUNK_ID_BYTES, end * CHUNK_ID_BYTES),
          lengths: lengths.subarray(first, end),
        };
        return { offsetBytes, sizeBytes: sizes[frame] ?? 0, chunks };
      });
    },
  };
}

function isId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function number(text: string, line: string): number {
  const value = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value < MOST_BYTES)) throw damaged(`has the invalid line ${JSON.stringify(line.slice(0, 100))}`);
  return value;
}

function damaged(how: string): Failure {
  return new Failure('store-damaged', `An index file is damaged: it ${how}.`);
}

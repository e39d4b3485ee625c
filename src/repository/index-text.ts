import { CHUNK_ID_BYTES } from '../chunk/chunk-id.ts';
import { Failure } from '../failure.ts';
import type { IndexedFrame, IndexedPack } from './chunk-index.ts';

const HEADER = 'vmferry-index 1';
/** More than any pack, frame or chunk has. */
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

/** The packs of an index file. Throws Failure `store-damaged` for anything but a well-formed one. */
export function parseIndexText(text: string): IndexedPack[] {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.shift() !== HEADER) throw damaged('does not begin or end as one');
  const packs: PackInTheMaking[] = [];
  for (const line of lines) {
    const [word, first = '', second = '', ...more] = line.split(' ');
    const pack = packs.at(-1);
    const frame = pack?.frames.at(-1);
    if (more.length > 0) throw damaged(`has the line ${JSON.stringify(line.slice(0, 100))}`);
    if (word === 'pack' && isId(first))
      packs.push({ id: first, sizeBytes: number(second, line), frames: [] });
    else if (word === 'frame' && pack !== undefined)
      pack.frames.push({
        offsetBytes: number(first, line),
        sizeBytes: number(second, line),
        ids: [],
        lengths: [],
      });
    else if (word === 'chunk' && frame !== undefined && isId(first)) {
      frame.ids.push(first);
      frame.lengths.push(number(second, line));
    } else throw damaged(`has the line ${JSON.stringify(line.slice(0, 100))}`);
  }
  return packs.map(finished);
}

interface PackInTheMaking {
  id: string;
  sizeBytes: number;
  frames: { offsetBytes: number; sizeBytes: number; ids: string[]; lengths: number[] }[];
}

function finished({ id, sizeBytes, frames }: PackInTheMaking): IndexedPack {
  return {
    id,
    sizeBytes,
    frames: frames.map((frame): IndexedFrame => ({
      offsetBytes: frame.offsetBytes,
      sizeBytes: frame.sizeBytes,
      chunks: {
        ids: new Uint8Array(Buffer.from(frame.ids.join(''), 'hex')),
        lengths: new Uint32Array(frame.lengths),
      },
    })),
  };
}

function isId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function number(text: string, line: string): number {
  const value = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value < MOST_BYTES)) throw damaged(`has the line ${JSON.stringify(line.slice(0, 100))}`);
  return value;
}

function damaged(how: string): Failure {
  return new Failure('store-damaged', `An index file ${how}.`);
}

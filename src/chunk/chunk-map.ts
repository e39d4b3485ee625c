import { createHash } from 'node:crypto';
import { Failure } from '../failure.ts';
import { chunkGridFor, type ChunkGrid } from './chunk-grid.ts';
import { CHUNK_ID_BYTES, isHexId } from './chunk-id.ts';

const HEADER = 'vmferry-chunk-map 1';
/** The text is made in pieces of about this size, so that a whole map is never one string. */
const PIECE_CHARACTERS = 2 ** 18;
const WORDS_OF_ID = CHUNK_ID_BYTES / Uint32Array.BYTES_PER_ELEMENT;
/** In characters; no line comes near this length. */
const LONGEST_LINE = 1024;

/**
 * For each chunk position of an image: an id, or empty. Takes 32 bytes of memory per position, at most 32 MiB; pages
 * without chunks are never touched.
 */
export class ChunkMap {
  readonly grid: ChunkGrid;
  readonly #ids: Uint8Array;
  /** The same memory as words: looking for an id needs no call for each position. */
  readonly #words: Uint32Array;

  /** @param memory that of another thread's map (`shared`), to read it here */
  constructor(
    grid: ChunkGrid,
    memory: ArrayBuffer | SharedArrayBuffer = new ArrayBuffer(grid.chunkCount * CHUNK_ID_BYTES),
  ) {
    this.grid = grid;
    this.#ids = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
  }

  /** An empty map that worker threads can read, too. */
  static shared(grid: ChunkGrid): ChunkMap {
    return new ChunkMap(grid, new SharedArrayBuffer(grid.chunkCount * CHUNK_ID_BYTES));
  }

  /** The memory of a map made by `shared`; null for any other. */
  get sharedMemory(): SharedArrayBuffer | null {
    const { buffer } = this.#ids;
    return buffer instanceof SharedArrayBuffer ? buffer : null;
  }

  /** The id at the position (32 bytes), or null where the chunk is empty. */
  get(position: number): Uint8Array | null {
    if (this.#isEmpty(position)) return null;
    return this.#ids.subarray(position * CHUNK_ID_BYTES, (position + 1) * CHUNK_ID_BYTES);
  }

  /** Whether the chunk at the position has this id. */
  holds(position: number, id: Uint8Array): boolean {
    const start = position * CHUNK_ID_BYTES;
    return Buffer.compare(this.#ids.subarray(start, start + CHUNK_ID_BYTES), id) === 0;
  }

  #isEmpty(position: number): boolean {
    const end = (position + 1) * WORDS_OF_ID;
    for (let word = position * WORDS_OF_ID; word < end; word++)
      if ((this.#words[word] ?? 0) !== 0) return false;
    return true;
  }

  set(position: number, id: Uint8Array): void {
    if (!(position >= 0 && position < this.grid.chunkCount)) throw new RangeError(`no chunk ${position}`);
    this.#ids.set(id, position * CHUNK_ID_BYTES);
  }

  /** `sha256:` and the SHA-256 of the map's text. */
  fingerprint(): string {
    const hash = createHash('sha256');
    for (const piece of chunkMapText(this)) hash.update(piece);
    return `sha256:${hash.digest('hex')}`;
  }
}

/** The map's text (doc/formats.md), in pieces. */
export function* chunkMapText(map: ChunkMap): Iterable<string> {
  const { imageBytes, chunkBytes, chunkCount } = map.grid;
  let piece = `${HEADER}\nimage-bytes ${imageBytes}\nchunk-bytes ${chunkBytes}\n`;
  for (let position = 0; position < chunkCount; position++) {
    const id = map.get(position);
    if (id === null) continue;
    piece += `${position} ${Buffer.from(id).toString('hex')}\n`;
    if (piece.length >= PIECE_CHARACTERS) {
      yield piece;
      piece = '';
    }
  }
  yield piece;
}

/** Reads a map's text, cut anywhere. Throws Failure `pack-damaged` if it is not valid. */
export function parseChunkMap(pieces: Iterable<string>): ChunkMap {
  const lines = linesOf(pieces);
  const header = lines.next().value;
  if (header !== HEADER) throw damaged(`begins with ${JSON.stringify(String(header).slice(0, 40))}`);
  const grid = chunkGridFor(numberAfter('image-bytes', lines.next().value));
  if (numberAfter('chunk-bytes', lines.next().value) !== grid.chunkBytes)
    throw damaged('has an unusual chunk size');
  const map = new ChunkMap(grid);
  let last = -1;
  for (const line of lines) {
    const space = line.indexOf(' ');
    const id = line.slice(space + 1);
    const position = decimal(line.slice(0, Math.max(space, 0)));
    const inOrder = position > last && position < grid.chunkCount;
    if (!inOrder || !isHexId(id)) throw damaged(`has the line ${JSON.stringify(line.slice(0, 100))}`);
    map.set(position, Buffer.from(id, 'hex'));
    if (map.get(position) === null) throw damaged(`has no id at position ${position}`);
    last = position;
  }
  return map;
}

function* linesOf(pieces: Iterable<string>): Generator<string, undefined> {
  let rest = '';
  for (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw damaged('has a line without end');
    yield* lines;
  }
  if (rest !== '') throw damaged('ends in the middle of a line');
  return undefined;
}

function numberAfter(word: string, line: string | undefined): number {
  if (!line?.startsWith(`${word} `)) throw damaged(`lacks ${word}`);
  const value = decimal(line.slice(word.length + 1));
  if (!Number.isSafeInteger(value) || value <= 0) throw damaged(`has a bad ${word}`);
  return value;
}

function decimal(text: string): number {
  return /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : NaN;
}

function damaged(how: string): Failure {
  return new Failure('pack-damaged', `The chunk map ${how}.`);
}

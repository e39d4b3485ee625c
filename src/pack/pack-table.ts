import {
  chunkLength,
  frameLimitBytes,
  isFrameSize,
  LARGEST_CHUNK_BYTES,
  type ChunkGrid,
} from '../chunk/chunk-grid.ts';
import { CHUNK_ID_BYTES } from '../chunk/chunk-id.ts';
import type { FrameChunk } from './frame.ts';

export function tableText(chunks: readonly FrameChunk[]): string {
  return chunks
    .map(({ position, id, length }) => `${position} ${Buffer.from(id).toString('hex')} ${length}\n`)
    .join('');
}

/** Which frames a reader accepts. */
export interface FrameRules {
  /** The most plain bytes of a frame, and of a chunk. */
  limitBytes: number;
  /** Whether a chunk of this length can be at this position. */
  fits: (position: number, length: number) => boolean;
}

/** Frames of one image. */
export function framesOfGrid(grid: ChunkGrid): FrameRules {
  return {
    limitBytes: frameLimitBytes(grid),
    fits: (position, length) => position < grid.chunkCount && chunkLength(grid, position) === length,
  };
}

/** Frames of any image. */
export const framesOfAnyGrid: FrameRules = {
  limitBytes: LARGEST_CHUNK_BYTES,
  fits: (position, length) => Number.isSafeInteger(position) && length <= LARGEST_CHUNK_BYTES,
};

/** Parses a frame's table; null unless the rules allow it. */
export function parseTable(text: string, { limitBytes, fits }: FrameRules): FrameChunk[] | null {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length === 0) return null;
  const chunks: FrameChunk[] = [];
  let plainBytes = 0;
  for (const line of lines) {
    const [, positionText = '', idText = '', lengthText = ''] =
      /^(0|[1-9][0-9]{0,15}) ([0-9a-f]{64}) ([1-9][0-9]{0,15})$/.exec(line) ?? [];
    const position = Number(positionText);
    const length = Number(lengthText);
    if (idText === '' || position <= (chunks.at(-1)?.position ?? -1) || !fits(position, length)) return null;
    plainBytes += length;
    const id = new Uint8Array(CHUNK_ID_BYTES);
    id.set(Buffer.from(idText, 'hex'));
    chunks.push({ position, id, length });
  }
  return isFrameSize(chunks.length, plainBytes) && plainBytes <= limitBytes ? chunks : null;
}

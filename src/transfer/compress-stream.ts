import { SeekTable } from '../codec/zstd-seek-table.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import { frameRoomBytes } from '../workers/in-place-jobs.ts';
import { CompressionLevel, type Compression } from './compression-level.ts';
import { SpareMemory } from './spare-memory.ts';

/** Plain bytes of a frame. */
export const STREAM_FRAME_BYTES = 2 * 2 ** 20;

export interface CompressOptions {
  pool: Pick<FramePool, 'run' | 'width'>;
  compression: Compression;
}

/**
 * Compresses on all cores: each 2 MiB become a zstd frame of their own, and a seek table ends the stream. A piece that it yields is
 * valid until the next one is asked for, and so are those of `pieces`.
 */
export async function* compressStream(
  pieces: AsyncIterable<Uint8Array>,
  { pool, compression }: CompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const level = new CompressionLevel(compression);
  const spare = new SpareMemory(frameRoomBytes(STREAM_FRAME_BYTES));
  const table = new SeekTable();
  const frames = mapOrdered(gathered(pieces, spare), pool.width, async ({ memory, plainBytes }) => {
    const { sizeBytes } = await pool.run({ kind: 'compress', memory, plainBytes, level: level.current });
    return { memory, plainBytes, sizeBytes };
  });
  for await (const { memory, plainBytes, sizeBytes } of level.watch(frames)) {
    table.add(sizeBytes, plainBytes);
    yield new Uint8Array(memory, 0, sizeBytes);
    spare.giveBack(memory);
  }
  yield table.toBytes();
}

async function* gathered(
  pieces: AsyncIterable<Uint8Array>,
  spare: SpareMemory,
): AsyncGenerator<{ memory: SharedArrayBuffer; plainBytes: number }, void, undefined> {
  let memory = spare.take();
  let plainBytes = 0;
  for await (const piece of pieces) {
    for (let done = 0; done < piece.length;) {
      const part = piece.subarray(done, done + STREAM_FRAME_BYTES - plainBytes);
      new Uint8Array(memory).set(part, plainBytes);
      plainBytes += part.length;
      done += part.length;
      if (plainBytes < STREAM_FRAME_BYTES) continue;
      yield { memory, plainBytes };
      memory = spare.take();
      plainBytes = 0;
    }
  }
  if (plainBytes > 0) yield { memory, plainBytes };
}

import type { ByteReader } from '../codec/byte-reader.ts';
import { damagedArchive } from '../codec/damaged-archive.ts';
import { LARGEST_FRAME_BYTES, zstdFrames, type ZstdFrame } from '../codec/zstd-stream.ts';
import { Failure } from '../failure.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import { frameRoomBytes } from '../workers/in-place-jobs.ts';

/** Memory for frames on their way through the workers: as many of the largest ones as fit. */
const SPARE_BYTES = 64 * 2 ** 20;

/**
 * Unpacks a zstd stream: frames of a few MiB, as export makes them, on all cores. A larger frame, and what comes behind it, is given to
 * `unpackRest`. Throws Failure `archive-damaged`. A piece is valid until the next one is asked for.
 */
export async function* decompressStream(
  reader: ByteReader,
  pool: Pick<FramePool, 'run' | 'width'>,
  unpackRest: (pieces: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let rest: Uint8Array | null = null;
  const spare: SharedArrayBuffer[] = [];
  const frames = async function* (): AsyncGenerator<ZstdFrame, void, undefined> {
    rest = yield* zstdFrames(reader);
  };
  const width = Math.min(pool.width, Math.floor(SPARE_BYTES / LARGEST_FRAME_BYTES));
  const unpacked = mapOrdered(frames(), width, async ({ compressed, plainBytes }) => {
    const neededBytes = Math.max(compressed.length, plainBytes);
    const known = spare.pop();
    const memory =
      known !== undefined && known.byteLength >= neededBytes
        ? known
        : new SharedArrayBuffer(frameRoomBytes(neededBytes));
    new Uint8Array(memory).set(compressed);
    await pool.run({ kind: 'decompress', memory, frameBytes: compressed.length, plainBytes }).catch(asDamage);
    return { memory, plainBytes };
  });
  for await (const { memory, plainBytes } of unpacked) {
    yield new Uint8Array(memory, 0, plainBytes);
    spare.push(memory);
  }
  if (rest !== null) yield* unpackRest(joined(rest, reader));
}

async function* joined(first: Uint8Array, reader: ByteReader): AsyncGenerator<Uint8Array, void, undefined> {
  yield first;
  yield* reader.others();
}

function asDamage(error: unknown): never {
  if (error instanceof Failure && error.code === 'pack-damaged')
    throw damagedArchive('has a zstd frame that cannot be unpacked', error);
  throw error;
}

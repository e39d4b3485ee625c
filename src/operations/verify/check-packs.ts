import { packedChunksOf, type PackedChunks, type PackedFrame } from '../../pack/pack-layout.ts';
import { PACK_LIMIT_BYTES } from '../../pack/pack.ts';
import { contentLimitBytes, TABLE_LIMIT_BYTES } from '../../pack/pack-format.ts';
import { LARGEST_CHUNK_BYTES } from '../../chunk/chunk-grid.ts';
import type { SealKey } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { GuestReader, StoredObject } from '../../repository/guest-reader.ts';

/** Packs that are read and checked at once. Each is in memory as a whole, some 9 MiB. */
const PACKS_AT_ONCE = 4;
/** No sound pack is larger; reading stops there. */
const MOST_PACK_BYTES = PACK_LIMIT_BYTES + TABLE_LIMIT_BYTES + contentLimitBytes(LARGEST_CHUNK_BYTES);

/** The result of checking a pack. */
export interface PackFinding {
  pack: StoredObject;
  /** What is wrong, as a full sentence; null: nothing. */
  damage: string | null;
  /** The undamaged chunks. */
  good: PackedChunks;
  /** Where its chunks lie according to its own tables, as far as these can be read. */
  frames: readonly PackedFrame[];
}

/** Reads whole packs and checks each chunk. Results come in order; packs that are gone by now are left out. */
export async function* checkPacks(
  folder: GuestReader,
  packs: readonly StoredObject[],
  { pool, sealKey }: { pool: FramePool; sealKey: SealKey },
  signal: AbortSignal,
): AsyncIterable<PackFinding> {
  const findings = mapOrdered(packs, PACKS_AT_ONCE, async (pack): Promise<PackFinding | null> => {
    signal.throwIfAborted();
    const packParts = await readPack(folder, pack, signal);
    if (packParts === null) return null;
    if (typeof packParts === 'string')
      return { pack, damage: packParts, good: packedChunksOf([]), frames: [] };
    const job = { kind: 'check', packId: pack.id, packParts, sealKey } as const;
    const { damage, good, frames } = await pool.run(job);
    return { pack, damage, good, frames };
  });
  for await (const finding of findings) if (finding !== null) yield finding;
}

/**
 * The bytes of a pack; null if it is gone; a sentence if it cannot be read. On a failing disk only a few
 * files may be bad.
 */
async function readPack(
  { store }: GuestReader,
  { name }: StoredObject,
  signal: AbortSignal,
): Promise<Uint8Array[] | string | null> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const part of store.get(name, signal)) {
      sizeBytes += part.length;
      if (sizeBytes > MOST_PACK_BYTES) return `${name} is longer than any pack.`;
      parts.push(inMemoryOfItsOwn(part));
    }
    return parts;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code === 'target-missing') return null;
    if (error.code === 'transfer-failed' && !error.transient)
      return `${name} cannot be read: ${error.message}`;
    throw error;
  }
}

/**
 * Copies bytes that share their memory with others: handing them to another thread would take all of that memory along, and
 * the memory that small buffers share cannot be handed over.
 */
function inMemoryOfItsOwn(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

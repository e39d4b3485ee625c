import type { PackedChunks } from '../../pack/pack-layout.ts';
import type { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { ChunkIndex, type IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import type { GuestReader, StoredObjects } from '../../repository/guest-reader.ts';
import { packDigest } from '../../repository/chunk-index/index-text.ts';
import { isPlausiblePack } from '../../repository/chunk-index/plausible-pack.ts';

const FILES_AT_ONCE = 8;

/** What reading packs has shown. */
export interface PackContents {
  /**
   * By pack id: the undamaged chunks of packs whose own content counts instead of what an index says. These are damaged packs,
   * and packs that no index describes correctly.
   */
  remains: ReadonlyMap<string, PackedChunks>;
  /** By pack id: `packDigest` of the tables of each good pack. */
  digests: ReadonlyMap<string, string>;
}

/** What all index files of a guest say, compared with the packs that are there. */
export interface StoredIndex {
  /** Chunks that can be read. */
  usable: ChunkIndex;
  /** Chunks that cannot be read: their packs are missing, damaged, or not as an index says. */
  unusable: ChunkIndex;
  /** Packs that are there, but whose size differs from that in every index that names them. */
  resized: ReadonlySet<string>;
  failures: readonly { file: string; failure: Failure }[];
  /** Index files that are wrong about packs that are there. */
  wrongFiles: readonly WrongIndex[];
  /** Index files that name nothing that is there. */
  idleFiles: readonly string[];
}

export interface WrongIndex {
  file: string;
  packs: readonly IndexedPack[];
  /** Ids of the packs that it is wrong about. */
  wrong: ReadonlySet<string>;
}

/** Reads all index files. What they say about packs that were read must agree with the packs' own tables; the rest must be plausible. */
export async function readStoredIndex(
  folder: GuestReader,
  packs: StoredObjects,
  { remains, digests }: PackContents,
  signal: AbortSignal,
): Promise<StoredIndex> {
  const usable = new ChunkIndex();
  const unusable = new ChunkIndex();
  const failures: { file: string; failure: Failure }[] = [];
  const idleFiles: string[] = [];
  const done = new Set<string>();
  const resized = new Set<string>();
  const wrongFiles: WrongIndex[] = [];
  for (const [id, chunks] of remains)
    if (packs.has(id) && chunks.lengths.length > 0) usable.add(remainsOf(id, chunks));

  const files = [...(await folder.objects('index', signal)).keys()];
  const contents = mapOrdered(files, FILES_AT_ONCE, async (file) => {
    const found = await folder.readIndexFile(file, signal, (failure) => failures.push({ file, failure }));
    return { file, found };
  });
  for await (const { file, found } of contents) {
    const isIdle = found.length > 0 && !found.some(({ id }) => packs.has(id));
    if (isIdle) idleFiles.push(file);
    const wrong = new Set<string>();
    for (const pack of found) {
      const sizeBytes = packs.get(pack.id)?.sizeBytes;
      if (sizeBytes === pack.sizeBytes && !isRight(pack, digests)) {
        wrong.add(pack.id);
        unusable.add(pack);
        continue;
      }
      if (done.has(pack.id)) continue;
      if (sizeBytes !== undefined && sizeBytes !== pack.sizeBytes) {
        resized.add(pack.id);
        unusable.add(pack);
        continue;
      }
      done.add(pack.id);
      resized.delete(pack.id);
      (sizeBytes === undefined || remains.has(pack.id) ? unusable : usable).add(pack);
    }
    if (wrong.size > 0) wrongFiles.push({ file, packs: found, wrong });
  }
  return { usable, unusable, resized, failures, wrongFiles, idleFiles };
}

function isRight(pack: IndexedPack, digests: PackContents['digests']): boolean {
  const digest = digests.get(pack.id);
  return digest === undefined ? isPlausiblePack(pack) : packDigest(pack) === digest;
}

/** Only its chunks matter here; offsets and sizes are not used. */
function remainsOf(id: string, chunks: PackedChunks): IndexedPack {
  return { id, sizeBytes: 0, frames: [{ offsetBytes: 0, sizeBytes: 0, chunks }] };
}

import type { PackedChunks } from '../../pack/pack-layout.ts';
import type { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { ChunkIndex, type IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import type { GuestFolder, StoredObjects } from '../../repository/guest-folder.ts';
import { packDigest } from '../../repository/chunk-index/index-text.ts';
import { isPlausiblePack } from '../../repository/chunk-index/plausible-pack.ts';

const FILES_AT_ONCE = 8;

/** What was found in packs when they were read. */
export interface PackContents {
  /**
   * Packs that are taken by what was found in them, not by what an index says: damaged ones, and such as no index names
   * rightly. The chunks that are whole in each.
   */
  remains: ReadonlyMap<string, PackedChunks>;
  /** `packDigest` of each pack that was found good, by its own tables. */
  digests: ReadonlyMap<string, string>;
}

/** What all index files of a guest say, against the packs that are there. */
export interface StoredIndex {
  /** What can be read. */
  usable: ChunkIndex;
  /** What cannot: packs that are not there, or not as an index says, or damaged. */
  unusable: ChunkIndex;
  /** Packs that are there, but have another size than every index that names them says. */
  resized: ReadonlySet<string>;
  failures: readonly { file: string; failure: Failure }[];
  /** Index files that say of packs that are there what is not so, or cannot be. */
  wrongFiles: readonly WrongIndex[];
  /** Index files that name nothing that is there. */
  idleFiles: readonly string[];
}

export interface WrongIndex {
  file: string;
  packs: readonly IndexedPack[];
  /** Packs of which it says what is not so. */
  wrong: ReadonlySet<string>;
}

/** What an index says of a pack that was read is compared with the pack's own tables; of others it must be plausible. */
export async function readStoredIndex(
  folder: GuestFolder,
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

/** As far as it matters here: that the chunks are there. */
function remainsOf(id: string, chunks: PackedChunks): IndexedPack {
  return { id, sizeBytes: 0, frames: [{ offsetBytes: 0, sizeBytes: 0, chunks }] };
}

import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import type { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { ChunkIndex } from '../../repository/chunk-index.ts';
import type { GuestFolder, StoredObjects } from '../../repository/guest-folder.ts';

const FILES_AT_ONCE = 8;

/** What all index files of a guest say, against the packs that are there. */
export interface StoredIndex {
  /** What can be read. */
  usable: ChunkIndex;
  /** What cannot: packs that are not there, or not as an index says, or damaged. */
  unusable: ChunkIndex;
  /** Packs that are there, but have another size than every index that names them says. */
  resized: ReadonlySet<string>;
  failures: readonly { file: string; failure: Failure }[];
  /** Index files that name nothing that is there. */
  idleFiles: readonly string[];
}

/**
 * @param remains packs that are taken by what was found in them, not by what an index says: the ids of the chunks that are
 * whole in them, one after the other
 */
export async function readStoredIndex(
  folder: GuestFolder,
  packs: StoredObjects,
  remains: ReadonlyMap<string, Uint8Array>,
  signal: AbortSignal,
): Promise<StoredIndex> {
  const usable = new ChunkIndex();
  const unusable = new ChunkIndex();
  const failures: { file: string; failure: Failure }[] = [];
  const idleFiles: string[] = [];
  const done = new Set<string>();
  const resized = new Set<string>();
  for (const [id, ids] of remains) if (packs.has(id) && ids.length > 0) usable.add(remainsOf(id, ids));

  const files = [...(await folder.objects('index', signal)).keys()];
  const contents = mapOrdered(files, FILES_AT_ONCE, async (file) => {
    const found = await folder.readIndexFile(file, signal, (failure) => failures.push({ file, failure }));
    return { file, found };
  });
  for await (const { file, found } of contents) {
    const isIdle = found.length > 0 && !found.some(({ id }) => packs.has(id));
    if (isIdle) idleFiles.push(file);
    for (const pack of found) {
      if (done.has(pack.id)) continue;
      const sizeBytes = packs.get(pack.id)?.sizeBytes;
      if (sizeBytes !== undefined && sizeBytes !== pack.sizeBytes) {
        resized.add(pack.id);
        unusable.add(pack);
        continue;
      }
      done.add(pack.id);
      resized.delete(pack.id);
      (sizeBytes === undefined || remains.has(pack.id) ? unusable : usable).add(pack);
    }
  }
  return { usable, unusable, resized, failures, idleFiles };
}

/** As far as it matters here: that the chunks are there. */
function remainsOf(id: string, ids: Uint8Array) {
  const lengths = new Uint32Array(ids.length / CHUNK_ID_BYTES);
  return { id, sizeBytes: 0, frames: [{ offsetBytes: 0, sizeBytes: 0, chunks: { ids, lengths } }] };
}

import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { Snapshot } from '../../repository/snapshot.ts';

const MANIFESTS_AT_ONCE = 8;

/** A manifest, or why it cannot be read. */
export type ReadManifest =
  { id: string; snapshot: Snapshot; failure: null } | { id: string; snapshot: null; failure: Failure };

/** All manifests of a guest, the oldest first. Those that are gone by now are left out. */
export async function* readManifests(
  folder: GuestReader,
  ids: readonly string[],
  signal: AbortSignal,
): AsyncIterable<ReadManifest> {
  const manifests = mapOrdered(ids, MANIFESTS_AT_ONCE, async (id): Promise<ReadManifest | null> => {
    try {
      return { id, snapshot: await folder.readSnapshot(id, signal), failure: null };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === 'snapshot-missing') return null;
      if (!manifestCodes.has(error.code) || error.transient) throw error;
      return { id, snapshot: null, failure: error };
    }
  });
  for await (const manifest of manifests) if (manifest !== null) yield manifest;
}

/** Failures of one manifest that do not concern the others. On a failing disk (`transfer-failed`) only a few files may be bad. */
export const manifestCodes: ReadonlySet<string> = new Set([
  'store-damaged',
  'store-unsupported',
  'transfer-failed',
]);

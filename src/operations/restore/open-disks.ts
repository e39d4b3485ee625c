import type { Context } from '../../events.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { PartialClaim } from '../../image/target/partial-claim.ts';
import type { TargetPlace } from '../../image/target/place.ts';
import { findTargetPlace, requireRoom } from '../../image/target/target-place.ts';
import { ImageTarget } from '../../image/target/image-target.ts';
import type { Resources } from '../../pipeline/resources.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { Snapshot, SnapshotDisk } from '../../repository/snapshot.ts';
import type { ReadSession } from '../store-access/store-session.ts';
import { plainBytesOf } from './byte-ranges.ts';
import { ChunkPlaces } from './chunk-places.ts';
import type { DiskPlace } from './disk-places.ts';
import { DiskRestore } from './disk-restore.ts';
import { PackReader } from './pack-reader.ts';
import { requireFewPages } from './require-few-pages.ts';
import { PageReader, readStoredMap, type StoredMap } from './snapshot-map.ts';

export interface ChosenDisks {
  folder: GuestReader;
  snapshot: Snapshot;
  places: readonly DiskPlace[];
  inPlace: boolean;
}

interface FoundDisk {
  disk: SnapshotDisk;
  place: TargetPlace;
  claim: PartialClaim;
}

/** Disks that are ready to be restored, and the packs that they read. */
export interface OpenedDisks {
  restores: readonly DiskRestore[];
  packs: PackReader;
}

/**
 * Checks where the disks go, reads their chunk maps, and opens their targets. `targets` then disposes of what
 * was opened. Throws what `requireFewPages`, `findTargetPlace` and `ImageTarget.open` throw.
 */
export async function openDisks(
  { folder, snapshot, places, inPlace }: ChosenDisks,
  { opened }: ReadSession,
  pool: FramePool,
  targets: Resources,
  context: Context,
): Promise<OpenedDisks> {
  const { signal, report } = context;
  requireFewPages(places.map(({ disk }) => disk));
  const found: FoundDisk[] = [];
  for (const { disk, path, format } of places) {
    const claim: PartialClaim = {
      store: opened.id,
      guest: snapshot.guest,
      snapshot: snapshot.id,
      disk: disk.name,
      ...(format === 'qcow2' && { imageFormat: format }),
    };
    const place = await findTargetPlace({ path, sizeBytes: disk.sizeBytes, claim, inPlace });
    found.push({ disk, place, claim });
  }
  const pages = new PageReader(folder);
  const mapped: (FoundDisk & { stored: StoredMap })[] = [];
  for (const one of found) mapped.push({ ...one, stored: await readStoredMap(one.disk, pages, signal) });
  await requireRoom(mapped.map(({ place, stored }) => ({ place, neededBytes: plainBytesOf(stored.map) })));

  const packs = await PackReader.open(folder, signal);
  const index = await packs.readIndex(
    ({ message }) => report({ type: 'warning', code: 'store-incomplete', message }),
    signal,
  );
  const options = { places: new ChunkPlaces(index, packs), packs, pool, sealKey: opened.key, signal };
  const restores: DiskRestore[] = [];
  try {
    for (const { disk, place, claim, stored } of mapped) {
      const target = targets.hold(await ImageTarget.open(place, disk.sizeBytes, claim, claim.imageFormat));
      restores.push(targets.hold(new DiskRestore(disk, stored, target, options)));
      if (place.kind === 'block-device' && place.sizeBytes > disk.sizeBytes)
        report({ type: 'warning', code: 'other', message: largerText(place, disk) });
    }
  } catch (error) {
    for (const { target } of restores) await target.discard();
    throw error;
  }
  return { restores, packs };
}

function largerText({ path, sizeBytes }: TargetPlace, disk: SnapshotDisk): string {
  return `${path} has ${sizeBytes} bytes, and ${disk.name} only ${disk.sizeBytes}: the rest of ${path} is not changed.`;
}

import { isBaseOf } from '../../image/clones/base-clone.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { EarlierMaps } from '../../transfer/unchanged-chunks.ts';

/** Where a backup goes. Bases are found by this. */
export interface EarlierSnapshots {
  folder: GuestFolder;
  storeId: string;
  /** Of this vmferry: another version may find other blocks free. */
  version: string;
}

/** The chunk maps of a guest's snapshots in a store. */
export function earlierMapsOf({ folder, storeId, version }: EarlierSnapshots): EarlierMaps {
  return {
    storeId,
    async find(base, sizeBytes, signal) {
      const { vmferryVersion, disks } = await folder.readSnapshot(base.snapshotId, signal);
      const disk = disks.find((one) => isBaseOf(base, one.fingerprint) && one.sizeBytes === sizeBytes);
      if (disk === undefined || vmferryVersion !== version) return null;
      return { read: () => folder.readChunkMap(disk, signal) };
    },
  };
}

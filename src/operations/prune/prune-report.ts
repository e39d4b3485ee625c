import type { FailureRecord } from '../../failure.ts';
import type { KeepReason } from '../../repository/retention/retention.ts';

/** What was done to one guest; with `dryRun`, what would be done. */
export interface GuestPrune {
  guest: string;
  /** The oldest first. */
  kept: { id: string; reasons: readonly KeepReason[] }[];
  /** Snapshots that are removed for good. */
  removed: string[];
  /** Bytes moved to the trash: packs, pages and index files that no snapshot needs. */
  trashedBytes: number;
  /** Bytes deleted from the trash. */
  freedBytes: number;
  /** Packs that were replaced by new ones without their unneeded data. */
  rewrittenPacks: number;
  /** Bytes of the packs that snapshots need, and how many of these bytes are unneeded. */
  neededBytes: number;
  wastedBytes: number;
  /** Chunks that snapshots need and the store has lost. */
  missingChunks: number;
  /** Why its data was not pruned, or only in part. */
  failure: FailureRecord | null;
}

export interface PruneReport {
  type: 'pruned';
  /** The store's location. */
  store: string;
  dryRun: boolean;
  guests: readonly GuestPrune[];
}

export function newGuestPrune(guest: string): GuestPrune {
  return {
    guest,
    kept: [],
    removed: [],
    trashedBytes: 0,
    freedBytes: 0,
    rewrittenPacks: 0,
    neededBytes: 0,
    wastedBytes: 0,
    missingChunks: 0,
    failure: null,
  };
}

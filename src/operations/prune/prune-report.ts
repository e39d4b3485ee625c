import type { FailureRecord } from '../../failure.ts';
import type { KeepReason } from '../../repository/retention/retention.ts';

/** What became of one guest; with `dryRun`, what would. */
export interface GuestPrune {
  guest: string;
  /** The oldest first. */
  kept: { id: string; reasons: readonly KeepReason[] }[];
  /** Snapshots that are removed for good. */
  removed: string[];
  /** Moved to the trash: packs, pages and index files that no snapshot needs. */
  trashedBytes: number;
  /** Deleted from the trash. */
  freedBytes: number;
  /** Packs that were mostly dead, and were written anew without what is dead in them. */
  rewrittenPacks: number;
  /** Bytes of packs that are needed, and what of them is dead. */
  neededBytes: number;
  wastedBytes: number;
  /** Chunks that snapshots need and the store has lost. */
  missingChunks: number;
  /** Why its data is not pruned, or not all of it. */
  failure: FailureRecord | null;
}

export interface PruneReport {
  type: 'pruned';
  /** As people know it. */
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

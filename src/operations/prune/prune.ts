import type { Context } from '../../events.ts';
import { asFailure, toFailureRecord } from '../../failure.ts';
import { decideRetention } from '../../repository/retention/retention.ts';
import { foreseePrune, pruneGuest } from './prune-guest.ts';
import type { PruneClock, PruneOptions } from './prune-options.ts';
import { newGuestPrune, type GuestPrune, type PruneReport } from './prune-report.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { chosenGuests } from '../store-access/chosen-guests.ts';
import type { StoreSession } from '../store-access/store-session.ts';

export interface PruneRequest extends PruneOptions {
  /** Null: all guests of the store. */
  guest: string | null;
  dryRun: boolean;
}

/**
 * Removes the snapshots of a store that no rule keeps, and later the data that only they needed (doc/store.md). If a guest
 * cannot be pruned, the report says why, and the other guests are pruned all the same. Throws Failure `usage` if no rule is given,
 * `snapshot-missing` for a guest that the store does not have, and what the store throws.
 */
export async function prune(
  request: PruneRequest,
  session: StoreSession,
  clock: PruneClock,
  context: Context,
): Promise<PruneReport> {
  decideRetention([], request.rules, clock.now(), clock.timeZone);
  const guests: GuestPrune[] = [];
  for (const guest of await chosenGuests(request.guest, session, context.signal))
    guests.push(await pruneOne(guest, request, session, clock, context));
  return { type: 'pruned', store: session.store.location, dryRun: request.dryRun, guests };
}

async function pruneOne(
  guest: string,
  request: PruneRequest,
  session: StoreSession,
  clock: PruneClock,
  context: Context,
): Promise<GuestPrune> {
  const result = newGuestPrune(guest);
  const work = request.dryRun ? foreseePrune : pruneGuest;
  try {
    const snapshots = await session.folder(guest).snapshotIds(context.signal);
    await session.saw(new Map([[guest, snapshots]]), context);
    await runStage(
      context,
      'prune',
      request.dryRun ? `looking at ${guest}` : `pruning ${guest}`,
      () => work(session.folder(guest), request, clock, result, context),
      () => summary(result, request.dryRun),
    );
  } catch (error) {
    const failure = asFailure(error);
    if (context.signal.aborted || !['store-damaged', 'store-unsupported'].includes(failure.code)) {
      // Removed snapshots are gone for good: report them even if the prune failed later.
      if (!request.dryRun && result.removed.length > 0)
        context.report({ type: 'warning', code: 'other', message: summary(result, false) });
      throw error;
    }
    context.report({ type: 'warning', code: 'store-incomplete', message: failure.message });
    result.failure = toFailureRecord(failure);
  }
  return result;
}

function summary({ guest, removed }: GuestPrune, dryRun: boolean): string {
  if (removed.length === 0) return dryRun ? `looked at ${guest}` : `pruned ${guest}`;
  if (dryRun) return `${guest}: these would be removed: ${removed.join(', ')}`;
  return `${guest}: these were removed: ${removed.join(', ')}`;
}

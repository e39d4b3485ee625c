import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { chooseSnapshot, parseSnapshotReference } from '../store-access/choose-snapshot.ts';
import type { StoreSession } from '../store-access/store-session.ts';

export interface ProtectReport {
  type: 'protected' | 'unprotected';
  guest: string;
  snapshot: string;
}

/**
 * Keeps prunes from removing a snapshot, or lets them again; either may be so already. Throws Failure `usage` or `snapshot-missing`
 * for what names none.
 * @param reference `GUEST@WHEN`
 */
export async function protectSnapshot(
  reference: string,
  isProtected: boolean,
  session: StoreSession,
  { signal, report }: Context,
): Promise<ProtectReport> {
  const parsed = parseSnapshotReference(reference);
  const { guest } = parsed;
  const folder = session.folder(guest);
  const snapshot = chooseSnapshot(await folder.snapshotIds(signal), parsed, session.now(), report);
  if (!isProtected) {
    await folder.unmark('protected', snapshot, signal);
    return { type: 'unprotected', guest, snapshot };
  }
  await folder.mark('protected', snapshot, signal);
  // In this order; a prune removes first and looks for marks then.
  if (!(await folder.snapshotIds(signal)).includes(snapshot)) {
    await folder.unmark('protected', snapshot, signal);
    throw new Failure('snapshot-missing', `A prune has just removed the snapshot ${snapshot} of ${guest}.`, {
      advice: 'vmferry list STORE shows what there is.',
    });
  }
  return { type: 'protected', guest, snapshot };
}

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
 * Protects a snapshot from prunes, or ends its protection. Throws Failure `usage` or `snapshot-missing` if the reference names no
 * snapshot.
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
  // The mark comes first, because a prune removes a snapshot first and then looks for its mark.
  if (!(await folder.snapshotIds(signal)).includes(snapshot)) {
    await folder.unmark('protected', snapshot, signal);
    throw new Failure('snapshot-missing', `A prune has just removed the snapshot ${snapshot} of ${guest}.`, {
      advice: 'vmferry list STORE shows what there is.',
    });
  }
  return { type: 'protected', guest, snapshot };
}

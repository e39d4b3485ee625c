import type { Context } from '../events.ts';
import { chooseSnapshot, parseSnapshotReference } from './choose-snapshot.ts';
import type { StoreSession } from './store-session.ts';

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
  { signal }: Pick<Context, 'signal'>,
): Promise<ProtectReport> {
  const parsed = parseSnapshotReference(reference);
  const { guest } = parsed;
  const folder = session.folder(guest);
  const snapshot = chooseSnapshot(await folder.snapshotIds(signal), parsed);
  if (!isProtected) {
    await folder.unmark('protected', snapshot, signal);
    return { type: 'unprotected', guest, snapshot };
  }
  await folder.mark('protected', snapshot, signal);
  // A prune that runs now may have looked before that.
  chooseSnapshot(await folder.snapshotIds(signal), { guest, when: snapshot });
  return { type: 'protected', guest, snapshot };
}

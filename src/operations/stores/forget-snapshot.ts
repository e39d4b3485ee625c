import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { refuseAnyProtected } from './refuse-protected.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { ForgetReport } from './forget-guest.ts';
import { chooseSnapshotById, type SnapshotReference } from '../store-access/choose-snapshot.ts';
import { removeUnlessProtected } from '../prune/expire.ts';
import type { StoreSession } from '../store-access/store-session.ts';

/**
 * Deletes one snapshot, for good. A prune frees the data that only it needed. Throws Failure `usage` if the snapshot is protected,
 * the typed name is not `GUEST@ID`, or WHEN is no id; `snapshot-missing`.
 * @param confirm asks the user to type `GUEST@ID`
 */
export async function forgetSnapshot(
  { guest, when }: SnapshotReference,
  confirm: (name: string) => Promise<string>,
  session: StoreSession,
  context: Context,
): Promise<ForgetReport> {
  const { signal } = context;
  const folder = session.folder(guest);
  const ids = await folder.snapshotIds(signal);
  await session.saw(new Map([[guest, ids]]), context);
  const id = chooseSnapshotById(ids, { guest, when });
  const name = `${guest}@${id}`;
  const refuseProtected = () => refuseAnyProtected(guest, [id], session);
  if ((await folder.marks('protected', signal)).has(id)) throw refuseProtected();
  if ((await confirm(name)) !== name)
    throw new Failure('usage', `Nothing was deleted: what was given to confirm is not ${name}.`);
  const remove = async () => {
    if (!(await removeUnlessProtected(folder, id, signal))) throw refuseProtected();
    // It was removed on purpose: do not warn later that it is gone.
    await session.forgot(guest);
    const left = ids.filter((other) => other !== id);
    await session.saw(new Map([[guest, left]]), context);
  };
  await runStage(context, 'prune', `forgetting ${name}`, remove, () => `forgot ${name}`);
  return { type: 'forgotten', guest, snapshots: [id], freedBytes: 0 };
}

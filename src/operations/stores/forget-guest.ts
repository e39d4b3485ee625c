import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import { guestFolder } from '../../repository/files/layout.ts';
import type { BackupStore } from '../../store/store.ts';
import { refuseAnyProtected } from './refuse-protected.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { chosenGuests } from '../store-access/chosen-guests.ts';
import type { StoreSession } from '../store-access/store-session.ts';

const REMOVALS_AT_ONCE = 8;

export interface ForgetReport {
  type: 'forgotten';
  guest: string;
  snapshots: readonly string[];
  freedBytes: number;
}

/**
 * Deletes everything that the store has of a guest, for good: first its snapshots, so that every snapshot that is left can be
 * restored, then the rest. If it is interrupted, the next run continues. Throws Failure `usage` if the typed name is wrong or a
 * snapshot is protected, `snapshot-missing` for a guest that the store does not have.
 * @param confirm asks the user to type the guest's name
 */
export async function forgetGuest(
  guest: string,
  confirm: (snapshotCount: number) => Promise<string>,
  session: StoreSession,
  context: Context,
): Promise<ForgetReport> {
  const { signal } = context;
  const folder = session.folder(guest);
  await chosenGuests(guest, session, signal);
  const snapshots = await folder.snapshotIds(signal);
  const marked = await folder.marks('protected', signal);
  const kept = snapshots.filter((id) => marked.has(id));
  if (kept.length > 0) throw refuseAnyProtected(guest, kept, session);
  if ((await confirm(snapshots.length)) !== guest)
    throw new Failure('usage', `Nothing was deleted: the name given to confirm is not ${guest}.`);
  const freedBytes = await runStage(
    context,
    'prune',
    `forgetting ${guest}`,
    async () => {
      await session.forgot(guest);
      const strange: string[] = [];
      // A manifest that is a link stays, like any other link; the rest is removed.
      const bytes =
        (await removeAll(folder, folder.pathOf('snapshots'), strange, signal)) +
        (await removeAll(folder, guestFolder(guest), strange, signal));
      if (strange.length > 0) throw leftAlone(session.store, guest, [...new Set(strange)]);
      return bytes;
    },
    () => `forgot ${guest}`,
  );
  return { type: 'forgotten', guest, snapshots, freedBytes };
}

/**
 * Removes all ordinary files and folders in a folder, and the folder itself if that leaves it empty. Returns the freed bytes.
 * @param strange receives the names of everything else, which stays
 */
async function removeAll(
  folder: GuestFolder,
  path: string,
  strange: string[],
  signal: AbortSignal,
): Promise<number> {
  const { store } = folder;
  let freedBytes = 0;
  const entries = [...(await store.list(path, signal)), ...(await store.list(path, signal, 'leftovers'))];
  const removed = mapOrdered(entries, REMOVALS_AT_ONCE, async (entry) => {
    const name = `${path}/${entry.name}`;
    if (entry.isFolder) return removeAll(folder, name, strange, signal);
    if (entry.isStrange === true) {
      strange.push(name);
      return 0;
    }
    await store.remove(name, signal);
    return entry.sizeBytes;
  });
  for await (const bytes of removed) freedBytes += bytes;
  await store.removeFolder(path, signal);
  return freedBytes;
}

function leftAlone({ location }: BackupStore, guest: string, names: readonly string[]): Failure {
  const [first = ''] = names;
  const others = names.length > 1 ? ` and ${names.length - 1} more` : '';
  return new Failure(
    'store-damaged',
    `Everything of ${guest} in ${location} was deleted except ${first}${others}, which is not an ordinary file or folder but for example a symbolic link. vmferry neither follows nor deletes it.`,
    { advice: `Check what it points to, delete it by hand, and run \`vmferry forget\` for ${guest} again.` },
  );
}

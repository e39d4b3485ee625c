import type { Context } from '../../events.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { Failure } from '../../failure.ts';
import { badWhen, chooseSnapshot, type SnapshotReference } from '../store-access/choose-snapshot.ts';
import { noSuchGuest } from '../store-access/chosen-guests.ts';
import type { ReadSession } from '../store-access/store-session.ts';

/** The guest's folder, and the snapshots that the references name. Throws what `chooseSnapshot` throws. */
export async function readChosenSnapshots(
  guest: string,
  whens: readonly string[],
  session: ReadSession,
  context: Context,
): Promise<{ folder: GuestReader; snapshots: Snapshot[] }> {
  const folder = session.folder(guest);
  const ids = await folder.snapshotIds(context.signal);
  await session.saw(new Map([[guest, ids]]), context);
  if (ids.length === 0) throw noneOf(guest, await session.guests(context.signal));
  const now = session.now();
  const chosen = whens.map((when) => chooseSnapshot(ids, { guest, when }, now, context.report));
  const snapshots: Snapshot[] = [];
  for (const id of chosen) snapshots.push(await folder.readSnapshot(id, context.signal));
  return { folder, snapshots };
}

function noneOf(guest: string, guests: readonly string[]): Failure {
  const [, name = '', when = ''] = /^(.+)@([^@]*)$/.exec(guest) ?? [];
  return guests.includes(name) ? badWhen(when) : noSuchGuest(guest, guests);
}

/** The same for one snapshot. */
export async function readChosenSnapshot(
  { guest, when }: SnapshotReference,
  session: ReadSession,
  context: Context,
): Promise<{ folder: GuestReader; snapshot: Snapshot }> {
  const { folder, snapshots } = await readChosenSnapshots(guest, [when], session, context);
  const [snapshot] = snapshots;
  if (snapshot === undefined) throw new Error('one snapshot was asked for');
  return { folder, snapshot };
}

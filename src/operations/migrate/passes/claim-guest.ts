import process from 'node:process';
import type { Context } from '../../../events.ts';
import { isImageOnly } from '../../../guest/definition.ts';
import type { GuestCopying, GuestRecord } from '../../../guest/guest-record.ts';
import { refuseWhileMoved, thisMover } from '../../../guest/mover.ts';
import { noteState } from '../../../guest/note-state.ts';
import type { ClaimingMove } from './copied-move.ts';

/**
 * Records that this process copies the guest, which runs on: no other process may move it meanwhile. A record of a process that has
 * ended does not hinder any other. A rehearsal keeps what `migrate --resume` needs of a move that broke off. Throws Failure `guest-fenced`.
 */
export async function claimGuest(
  { request, dependencies, guest }: ClaimingMove,
  purpose: 'move' | 'rehearsal' = 'move',
): Promise<void> {
  const { definition } = guest;
  const { mover } = thisMover();
  if (isImageOnly(definition) || mover === undefined) return;
  const { records } = dependencies;
  const record = await records.read(definition.name);
  refuseWhileMoved(record);
  const { target, options } = request;
  const { destination } = target;
  const brokenOff = purpose === 'rehearsal' ? resumable(record) : null;
  const copying =
    brokenOff === null
      ? { destination, ...(options && { options }), mover }
      : { ...brokenOff, rehearsedTo: destination, mover };
  await records.write({ state: 'running', ...record, definition, copying });
}

/** What `migrate --resume` goes on with; null if there is nothing. */
function resumable(record: GuestRecord | null): Pick<GuestCopying, 'destination' | 'options'> | null {
  const { destination, options } = record?.copying ?? {};
  return destination === undefined || options === undefined ? null : { destination, options };
}

/**
 * Records a move that another process is to begin, by `migrate --resume`. Returns what takes that back. Throws Failure `guest-fenced` if a process
 * moves the guest.
 */
export async function noteMoveToCome({
  request: { target, options },
  dependencies: { records },
  guest: { definition },
}: ClaimingMove): Promise<() => Promise<void>> {
  const record = await records.read(definition.name);
  refuseWhileMoved(record);
  const copying = { destination: target.destination, ...(options && { options }) };
  await records.write({ state: 'running', ...record, definition, copying });
  return async () => {
    // Another process may have begun it.
    if ((await records.read(definition.name))?.copying?.mover !== undefined) return;
    if (record === null) await records.remove(definition.name);
    else await records.write(record);
  };
}

/** Removes the claim of this process, if there is one; what a rehearsal kept of a move that broke off stays. Returns whether there was one. */
export async function dropClaim({ dependencies, guest }: ClaimingMove, context: Context): Promise<boolean> {
  const { records } = dependencies;
  const record = await records.read(guest.definition.name);
  if (record?.copying?.mover?.pid !== process.pid) return false;
  const { copying: _, ...rest } = record;
  const left = record.copying.rehearsedTo === undefined ? null : resumable(record);
  await noteState({ ...rest, ...(left && { copying: left }) }, records, context);
  return true;
}

/**
 * Records, after a move that has failed, that what was copied stays on the new hardware: `migrate --resume` goes on with it. Not if
 * another move has begun meanwhile.
 */
export async function noteLeftCopy(
  { request, dependencies, guest }: ClaimingMove,
  context: Context,
): Promise<void> {
  const { target, options } = request;
  const record = await dependencies.records.read(guest.definition.name);
  if (record === null || options === undefined || record.copying?.mover !== undefined) return;
  if (record.state === 'moving' || record.state === 'moved') return;
  const copying = { destination: target.destination, options };
  await noteState({ ...record, copying }, dependencies.records, context);
}

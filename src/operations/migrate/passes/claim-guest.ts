import process from 'node:process';
import type { Context } from '../../../events.ts';
import { isImageOnly } from '../../../guest/definition.ts';
import { refuseWhileMoved, thisMover } from '../../../guest/mover.ts';
import { noteState } from '../../../guest/note-state.ts';
import type { ClaimingMove } from './copied-move.ts';

/**
 * Records that this process copies the guest, which runs on: no other process may move it meanwhile. A record of a process that has
 * ended keeps nobody from anything. Throws Failure `guest-fenced`.
 */
export async function claimGuest({ request, dependencies, guest }: ClaimingMove): Promise<void> {
  const { definition } = guest;
  const { mover } = thisMover();
  if (isImageOnly(definition) || mover === undefined) return;
  const { records } = dependencies;
  const record = await records.read(definition.name);
  refuseWhileMoved(record);
  const copying = { destination: request.target.destination, mover };
  await records.write({ state: 'running', ...record, definition, copying });
}

/** Removes the claim of this process, if there is one. Returns whether there was. */
export async function dropClaim({ dependencies, guest }: ClaimingMove, context: Context): Promise<boolean> {
  const { records } = dependencies;
  const record = await records.read(guest.definition.name);
  if (record?.copying?.mover.pid !== process.pid) return false;
  const { copying: _, ...rest } = record;
  await noteState(rest, records, context);
  return true;
}

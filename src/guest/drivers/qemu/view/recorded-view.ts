import { randomBytes } from 'node:crypto';
import type { Context } from '../../../../events.ts';
import type { Recording, RunningGuest, ViewOptions } from '../../../guest-driver.ts';
import { processOf } from '../../process-identity.ts';
import { QmpError, type Qmp } from '../qmp/qmp.ts';
import { openSession } from '../running/session.ts';
import { removeChanges, type DiskView } from './disk-view.ts';
import { beginRecording, removeRecordings, type FrozenBitmap } from './recordings.ts';
import { readWritten } from './written-extents.ts';

export interface BegunRecording {
  id: string;
  /** What the earlier recording had at that instant. */
  earlier: readonly FrozenBitmap[];
}

/** Begins the recording that was asked for; null when none was, or QEMU refuses it. */
export async function beginAsked(
  qmp: Qmp,
  prepared: readonly DiskView[],
  views: readonly string[],
  { recording }: ViewOptions,
): Promise<BegunRecording | null> {
  if (recording === null) return null;
  const id = randomBytes(8).toString('hex');
  const disks = prepared.map((view) => ({ view, index: views.indexOf(view.mountpoint) }));
  const earlier = await beginRecording(qmp, disks, recording, id);
  return earlier && { id, earlier };
}

/** Reads what was written since the earlier recording began. The copies of its bitmaps are then removed. */
export async function readRecording(
  qmp: Qmp,
  { definition: { name, disks } }: RunningGuest,
  { id, earlier }: BegunRecording,
  directory: string,
  { signal, report }: Context,
): Promise<Recording> {
  const written = await readWritten(qmp, earlier, directory, signal);
  for (const { view } of earlier) await removeChanges(qmp, view);
  if (typeof written !== 'string')
    return { id, written: disks.map((_, index) => written.get(index) ?? null) };
  const message = `All of ${name} is read. QEMU has recorded what changed, but that cannot be read: ${written}.`;
  report({ type: 'notice', message });
  return { id, written: disks.map(() => null) };
}

/** See `ViewingDriver.endRecordings`. */
export async function endRecordings(guest: RunningGuest, owner: string, kept: string | null): Promise<void> {
  if (processOf(guest) === null) return;
  const session = await openSession(guest);
  if (typeof session === 'string') return;
  try {
    await removeRecordings(session.qmp, owner, kept);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
  } finally {
    await session[Symbol.asyncDispose]();
  }
}

import { randomBytes } from 'node:crypto';
import type { Context } from '../../../../events.ts';
import type { Recording, RunningGuest, ViewOptions } from '../../../guest-driver.ts';
import type { Qmp } from '../qmp/qmp.ts';
import { beginRecording, removeFrozen, type RecordedDisk } from '../recording/recordings.ts';
import { readWritten } from '../recording/written-extents.ts';
import { nodeNames, type DiskView } from './disk-view.ts';

export interface BegunRecording {
  id: string;
  /** The disks of which the earlier recording is known, as it was at that instant. */
  earlier: readonly RecordedDisk[];
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
  const disks = prepared.map((view) => ({
    ...view,
    index: views.indexOf(view.mountpoint),
    frozen: nodeNames(view.id).changes,
  }));
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
  for (const disk of earlier) await removeFrozen(qmp, disk);
  if (typeof written !== 'string')
    return { id, written: disks.map((_, index) => written.get(index) ?? null) };
  const message = `All of ${name} is read. QEMU has recorded what changed, but that cannot be read: ${written}.`;
  report({ type: 'notice', message });
  return { id, written: disks.map(() => null) };
}

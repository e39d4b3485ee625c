import { existsSync } from 'node:fs';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { describeMove } from '../../guest/guest-record.ts';
import { findRunningGuest, notFound } from '../../guest/resolve-guest.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';

export interface ForgetRecordReport {
  type: 'record-forgotten';
  guest: string;
}

/**
 * Removes the record of a guest whose images are gone from here: nothing is left that could be started. Its backups
 * stay. Throws Failure `guest-not-found`, `guest-already-running`, `guest-fenced` while it is being moved, and
 * `target-exists` when one of its images is still here.
 */
export async function forgetRecord(
  name: string,
  { drivers, records }: Pick<GuestDependencies, 'drivers' | 'records'>,
  context: Context,
): Promise<ForgetRecordReport> {
  const record = await records.read(name);
  if (record === null) throw await notFound(name, { drivers, records }, context);
  if ((await findRunningGuest(name, drivers, context)) !== null)
    throw new Failure('guest-already-running', `${name} runs here, so it is not forgotten.`);
  refuseWhileMoved(record);
  // A disk that is only read may be shared with other guests.
  const left = record.definition.disks.find(({ path, readOnly }) => !readOnly && existsSync(path));
  if (left !== undefined)
    throw new Failure('target-exists', `${left.path}, an image of ${name}, is still here.`, {
      advice: `vmferry remembers how to start ${name} from that image, and whether it may be started. If the image is not needed, remove it or move it away. Then type the same command again.`,
    });
  await records.remove(name);
  if (record.state === 'moved') {
    const message = `${name} was ${describeMove(record)}. That is forgotten, too: nothing here keeps ${name} from being restored and started while it runs there.`;
    context.report({ type: 'warning', code: 'other', message });
  }
  return { type: 'record-forgotten', guest: name };
}

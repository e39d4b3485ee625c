import { Failure } from '../../failure.ts';
import type { RecordStore } from '../../guest/record-store.ts';
import { isAlive } from '../../system/proc-process.ts';

export interface CutoverReport {
  type: 'cutover';
  guest: string;
  /** The new hardware, as it was typed. */
  destination: string;
  /** The process that moves the guest. */
  pid: number;
}

/**
 * Lets a move go on that keeps its copy close to the guest. May be called again. Throws Failure `guest-not-found` if no process here does that.
 */
export async function cutOver(
  guest: string,
  records: Pick<RecordStore, 'read' | 'write'>,
): Promise<CutoverReport> {
  const record = await records.read(guest);
  const copying = record?.copying;
  const mover = copying?.mover;
  if (record === null || copying?.hold === undefined || mover === undefined || !isAlive(mover))
    throw new Failure('guest-not-found', `No move waits with the guest ${guest}.`, {
      advice: 'See which moves are known here: vmferry migrations',
    });
  if (copying.hold === 'waiting')
    await records.write({ ...record, copying: { ...copying, hold: 'released' } });
  return { type: 'cutover', guest, destination: copying.destination, pid: mover.pid };
}

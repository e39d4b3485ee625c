import process from 'node:process';
import type { GuestMove, GuestRecord } from './guest-record.ts';
import { Failure } from '../failure.ts';
import { isAlive, readProcess } from '../system/proc-process.ts';

/** This process, as a record names the mover that a guest belongs to while it is moved. */
export function thisMover(): Pick<GuestMove, 'mover'> {
  const own = readProcess(process.pid);
  return own === null ? {} : { mover: { pid: own.pid, startTimeTicks: own.startTimeTicks } };
}

/**
 * Throws Failure `guest-fenced` when another process is moving the guest right now: what one starts here, the other
 * would boot there.
 */
export function refuseWhileMoved(record: GuestRecord | null): void {
  const mover = record?.move?.mover;
  if (record === null || mover === undefined || mover.pid === process.pid || !isAlive(mover)) return;
  throw new Failure(
    'guest-fenced',
    `${record.definition.name} is being moved to ${record.move?.destination} right now, by process ${mover.pid}.`,
    {
      advice: `Wait until that is done. To call it off, press Ctrl-C there, or: kill ${mover.pid}; the guest is then brought back.`,
    },
  );
}

/** Throws Failure `guest-fenced` unless the guest still belongs to this process. */
export function refuseUnlessOwn(record: GuestRecord | null, name: string): void {
  if (record?.state === 'moving' && record.move?.mover?.pid === process.pid) return;
  throw new Failure('guest-fenced', `Another vmferry took ${name} over while it was being moved.`, {
    advice: 'See what became of it here and on the new hardware: vmferry guests',
  });
}

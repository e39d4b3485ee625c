import process from 'node:process';
import type { GuestMove, GuestRecord } from './guest-record.ts';
import { Failure } from '../failure.ts';
import { isAlive, readProcess } from '../system/proc-process.ts';

/** This process, for the record of a guest that it moves. */
export function thisMover(): Pick<GuestMove, 'mover'> {
  const own = readProcess(process.pid);
  return own === null ? {} : { mover: { pid: own.pid, startTimeTicks: own.startTimeTicks } };
}

/**
 * Throws Failure `guest-fenced` when another process is moving the guest right now. Otherwise this process could start
 * the guest here while the other boots it there.
 */
export function refuseWhileMoved(record: GuestRecord | null): void {
  // The process of an earlier move has ended; the one that copies the guest now may not have.
  const { mover, destination } = record?.copying ?? record?.move ?? {};
  const to = record?.copying?.rehearsedTo ?? destination;
  if (record === null || mover === undefined || mover.pid === process.pid || !isAlive(mover)) return;
  throw new Failure(
    'guest-fenced',
    `${record.definition.name} is being moved to ${to} right now, by process ${mover.pid}.`,
    {
      advice: `Wait until that is done. To cancel it, press Ctrl-C there, or: kill ${mover.pid}. The guest is then brought back.`,
    },
  );
}

/** Throws Failure `guest-fenced` unless the guest still belongs to this process. */
export function refuseUnlessOwn(record: GuestRecord | null, name: string): void {
  if (record?.state === 'moving' && record.move?.mover?.pid === process.pid) return;
  throw new Failure('guest-fenced', `Another vmferry took ${name} over while it was being moved.`, {
    advice: 'See where it runs now, here and on the new hardware: vmferry guests',
  });
}

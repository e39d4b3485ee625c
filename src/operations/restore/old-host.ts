import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatTimeWithZone } from '../../figures.ts';
import { describeMove, fenceOf, type GuestRecord } from '../../guest/guest-record.ts';
import { isSameMachine } from '../../guest/guest-source.ts';
import { here, placed } from '../../placed-text.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { Machine } from '../../system/machine.ts';
import type { StartAfterRestore } from './restore-report.ts';

/**
 * Makes sure, before a guest is restored and started, that it runs nowhere else. It may run on the machine of
 * its backup, or on the machine that it was moved to. The user must then confirm, by an option or on the
 * terminal, that this machine is gone. Changes nothing. Throws Failure `guest-fenced`.
 * @param backup the guest, by the name that it runs by; where and when the backup was made
 */
export async function requireOldHostGone(
  { guest, host, machine, createdAt }: Pick<Snapshot, 'guest' | 'host' | 'machine' | 'createdAt'>,
  record: GuestRecord | null,
  { oldHostIsGone, ask }: Pick<StartAfterRestore, 'oldHostIsGone' | 'ask'>,
  thisMachine: Machine,
  context: Context,
): Promise<void> {
  const made = `The backup of ${guest} was made on ${host} at ${formatTimeWithZone(createdAt)}.`;
  context.report({ type: 'notice', message: made });
  const move = record !== null && fenceOf(record) !== null ? record.move : undefined;
  const madeHere = isSameMachine(
    { host, machine: machine ?? null, images: [] },
    { host: thisMachine.host, machine: thisMachine.id, images: [] },
  );
  if (oldHostIsGone || (move === undefined && madeHere)) return;
  const madeOn = host === thisMachine.host ? `the other machine that is called ${host}` : host;
  const other = move?.destination ?? madeOn;
  const why = record !== null && move !== undefined ? `${guest} was ${describeMove(record)}.` : made;
  const question =
    `${move === undefined ? '' : `${why} `}While ${guest} runs on ${other}, it must not be started here. ` +
    `Is ${other} off, or gone for good? Type yes to go on: `;
  if (ask !== null && (await ask(question, context.signal))) return;
  const wayBack =
    move === undefined || move.remoteCommand === null
      ? ''
      : ` To take the move to ${other} back: vmferry revert ${guest}.`;
  throw new Failure('guest-fenced', placed`${why} If it also started ${here}, it could run twice.`, {
    advice:
      `If ${other} is off and stays off, or is gone for good, add --old-host-is-gone to the same command.` +
      ` Without --start the disks are restored, and nothing is started.${wayBack}`,
  });
}

import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatTimeWithZone } from '../../figures.ts';
import { describeMove, fenceOf, type GuestRecord } from '../../guest/guest-record.ts';
import { isSameMachine } from '../../guest/guest-source.ts';
import { here, placed } from '../../placed-text.ts';
import type { Machine } from '../../system/machine.ts';
import type { StartAfterRestore } from './restore-report.ts';

/** Where and when a guest's disks were copied. */
export interface GuestOrigin {
  what: 'backup' | 'archive';
  host: string;
  /** `Machine.id` of that host. */
  machine?: string | undefined;
  /** ISO 8601, UTC. */
  createdAt: string;
}

/**
 * Makes sure, before a guest is restored or imported and started, that it runs nowhere else. It may run on the machine of
 * its copy, or on the machine that it was moved to. The user must then confirm, by an option or on the
 * terminal, that this machine is gone. Changes nothing. Throws Failure `guest-fenced`.
 * @param guest the name that it runs by
 * @param origin of the copy; null if it is not known
 */
export async function requireOldHostGone(
  guest: string,
  origin: GuestOrigin | null,
  record: GuestRecord | null,
  { oldHostIsGone, ask }: Pick<StartAfterRestore, 'oldHostIsGone' | 'ask'>,
  thisMachine: Machine,
  context: Context,
): Promise<void> {
  const made = origin === null ? null : madeText(guest, origin);
  if (made !== null) context.report({ type: 'notice', message: made });
  const move = record !== null && fenceOf(record) !== null ? record.move : undefined;
  const elsewhere = origin === null ? null : elsewhereOf(origin, thisMachine);
  const other = move?.destination ?? elsewhere;
  if (oldHostIsGone || other === null) return;
  const why = record !== null && move !== undefined ? `${guest} was ${describeMove(record)}.` : made;
  const question =
    `${move === undefined ? '' : `${why} `}While ${guest} runs on ${other}, it must not be started here. ` +
    `Is ${other} off, or gone for good? Type yes to go on: `;
  if (ask !== null && (await ask(question, context.signal))) return;
  const wayBack =
    move === undefined || move.remoteCommand === null
      ? ''
      : ` To take the move to ${other} back: vmferry revert ${guest}.`;
  throw new Failure('guest-fenced', placed`${why ?? ''} If it also started ${here}, it could run twice.`, {
    advice:
      `If ${other} is off and stays off, or is gone for good, add --old-host-is-gone to the same command.` +
      ` Without --start the disks are written, and nothing is started.${wayBack}`,
  });
}

function madeText(guest: string, { what, host, createdAt }: GuestOrigin): string {
  return `The ${what} of ${guest} was made on ${host} at ${formatTimeWithZone(createdAt)}.`;
}

/** The machine that the copy was made on; null if it is this one. */
function elsewhereOf({ host, machine }: GuestOrigin, thisMachine: Machine): string | null {
  const madeHere = isSameMachine(
    { host, machine: machine ?? null, images: [] },
    { host: thisMachine.host, machine: thisMachine.id, images: [] },
  );
  if (madeHere) return null;
  return host === thisMachine.host ? `the other machine that is called ${host}` : host;
}

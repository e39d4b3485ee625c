import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { formatTime } from '../../../figures.ts';
import type { RecordStore } from '../../../guest/record-store.ts';
import { poll } from '../../../pipeline/polling.ts';

const LOOK_EVERY_MS = 1000;
const SHORTEST_REST_MS = 60_000;
/** Between two passes the disk rests this many times as long as a pass took. */
const REST_PER_PASS = 10;

/** How long a copy is kept close to its guest before the halt. */
export interface HoldRequest {
  /** In milliseconds since 1970; null: until `vmferry cutover`. */
  untilMs: number | null;
}

export interface HeldCopy {
  guest: string;
  records: RecordStore;
  /** Another pass while the guest runs. Returns its seconds. */
  passAgain: (context: Context) => Promise<number>;
}

/**
 * Keeps the copy of a running guest close to it, pass after pass, until the time comes or `vmferry cutover` is typed. One more pass is the
 * last thing that it does.
 */
export async function holdUntilCutover(
  { untilMs }: HoldRequest,
  { guest, records, passAgain }: HeldCopy,
  context: Context,
): Promise<void> {
  // An order that came while the line was lost holds.
  const isReleased = async () => (await records.read(guest))?.copying?.hold === 'released';
  if (!(await isReleased())) await noteHold('waiting', guest, records);
  const when = untilMs === null ? '' : ` at ${formatTime(new Date(untilMs).toISOString())}, or`;
  const message = `${guest} runs on, and its copy is kept close to it. It is halted${when} when you type: vmferry cutover ${guest}`;
  context.report({ type: 'notice', message });
  let passSeconds = 0;
  for (;;) {
    const passDueMs = performance.now() + restMs(passSeconds);
    const isOver = await poll(
      async () => {
        if (untilMs !== null && Date.now() >= untilMs) return 'over';
        if (await isReleased()) return 'over';
        return performance.now() >= passDueMs ? 'pass' : null;
      },
      { timeoutMs: Number.MAX_SAFE_INTEGER, intervalMs: LOOK_EVERY_MS, signal: context.signal },
    );
    // Before the last pass, so that no order writes to the record any more when the halt does.
    if (isOver === 'over') await noteHold('released', guest, records);
    passSeconds = await passAgain(context);
    if (isOver === 'over') return;
  }
}

async function noteHold(hold: 'waiting' | 'released', guest: string, records: RecordStore): Promise<void> {
  const record = await records.read(guest);
  if (record?.copying === undefined || record.copying.hold === hold) return;
  await records.write({ ...record, copying: { ...record.copying, hold } });
}

/** How long the disk rests after a pass. */
export function restMs(passSeconds: number): number {
  return Math.max(SHORTEST_REST_MS, REST_PER_PASS * passSeconds * 1000);
}

import type { RunningGuest } from '../../../guest-driver.ts';
import { findSockets } from './qemu-process.ts';
import { lockGuest } from './guest-lock.ts';
import { Qmp, QmpError } from '../qmp/qmp.ts';

/** A locked guest and a connection to its QMP monitor. */
export interface QemuSession extends AsyncDisposable {
  qmp: Qmp;
  /** Path of the socket of the guest's agent; null if it has no channel for one. */
  agentSocket: string | null;
  qmpSocket: string;
}

/** The session, or why there is none, as the end of a sentence. */
export async function openSession({
  identity,
}: Pick<RunningGuest, 'identity'>): Promise<QemuSession | string> {
  const lock = await lockGuest(identity);
  if (lock === null) return 'another vmferry gives orders to it, for example for a backup';
  const sockets = findSockets(identity.pid ?? 0);
  let reason = 'it has no QMP socket';
  for (const qmpSocket of sockets?.qmp ?? []) {
    try {
      const qmp = await Qmp.connect(qmpSocket);
      return {
        qmp,
        qmpSocket,
        agentSocket: sockets?.agent ?? null,
        async [Symbol.asyncDispose]() {
          qmp[Symbol.dispose]();
          await lock[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      if (!(error instanceof QmpError)) {
        await lock[Symbol.asyncDispose]();
        throw error;
      }
      reason = `its QMP socket ${qmpSocket} cannot be used (${error.message})`;
    }
  }
  await lock[Symbol.asyncDispose]();
  return reason;
}

/** `running`, `paused`, `shutdown`, … (RunState in QEMU's qapi/run-state.json). */
export async function runState(qmp: Qmp): Promise<string> {
  const status = (await qmp.execute('query-status')) as { status?: unknown };
  return String(status.status);
}

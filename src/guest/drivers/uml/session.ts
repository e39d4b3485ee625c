import { listProcesses, readProcess, signalProcess } from '../../../system/proc-process.ts';
import { poll } from '../../../pipeline/polling.ts';
import { listUmids, readPidFile, removeUmidDirectory, type UmlHost } from './host.ts';

const killTimeoutMs = 10_000;
const intervalMs = 50;

/** Whether the process belongs to a guest that we started: it leads a session that all of its processes share. */
export function isInSession(pid: number | null, sessionId: number): boolean {
  return pid !== null && (pid === sessionId || readProcess(pid)?.sessionId === sessionId);
}

/**
 * Kills all processes of a guest that we started, and removes the directory that it would leave behind. Gives the number
 * of processes that are left. It is never aborted: nothing of the guest may be left.
 */
export async function endSession(sessionId: number, host: UmlHost): Promise<number> {
  const umids = listUmids(host).filter((umid) => isInSession(readPidFile(host, umid), sessionId));
  const members = () => listProcesses().filter((stat) => stat.sessionId === sessionId);
  const { signal } = new AbortController();
  const gone = await poll(
    () => {
      for (const { pid } of members()) signalProcess(pid, 'SIGKILL');
      return members().length === 0;
    },
    { timeoutMs: killTimeoutMs, intervalMs, signal },
  );
  if (gone !== null) for (const umid of umids) removeUmidDirectory(host, umid);
  return members().length;
}

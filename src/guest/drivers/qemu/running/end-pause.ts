import { execPath } from 'node:process';
import { writeLastWill, type LastWill } from '../../../../system/last-will.ts';
import { isAlive, type ProcessIdentity } from '../../../../system/proc-process.ts';
import { Qmp, QmpError } from '../qmp/qmp.ts';
import { qemuInvocation } from './qemu-process.ts';
import { runState, type QemuSession } from './session.ts';

/** A QEMU that pauses when its guest ends, instead of ending as well: what it has in memory can still be read then. */
export interface EndPause {
  /** Of a QEMU whose guest has ended (RunState in QEMU's qapi/run-state.json). */
  endStates: readonly string[];
  /** QEMU ends with its guest again, if it did before: at once if the guest has ended. May be called again. */
  takeBack(): Promise<void>;
}

/**
 * A program for Node that lets QEMU end with its guest again, or at once if the guest has ended. Its arguments are the socket of QMP and the
 * states of an ended guest. A QEMU that is busy with its disks may answer late: the program waits ten minutes at most.
 */
const letEnd = `
const [path, ...endStates] = process.argv.slice(1);
const socket = require('net').connect(path);
const say = (execute, args) => socket.write(JSON.stringify({ execute, arguments: args }) + '\\n');
let heard = '';
socket.on('error', () => {}).on('close', () => process.exit()).on('data', (data) => {
  heard += data;
  const [, status] = /"status": *"([a-z-]+)"/.exec(heard) ?? [];
  if (status === undefined) return;
  if (endStates.includes(status)) say('quit');
  else socket.destroy();
});
say('qmp_capabilities');
say('set-action', { shutdown: 'poweroff' });
say('query-status');
setTimeout(() => process.exit(), 600000);
`;

/**
 * Has QEMU pause when its guest ends; when this process dies before, QEMU is told to end. Null if this QEMU cannot do so (before 6.0).
 * Throws QmpError when QEMU does not answer. Source: `set-action` in QEMU's qapi/run-state.json.
 */
export async function pauseAtEnd(
  process: ProcessIdentity,
  session: QemuSession,
  env: NodeJS.ProcessEnv,
): Promise<EndPause | null> {
  const { qmp, qmpSocket } = session;
  const actions = chosenActions(process.pid);
  // A person has asked for it. A guest that panics pauses as well then.
  if (actions.shutdown === 'pause') return { endStates: ['shutdown'], takeBack: () => Promise.resolve() };
  // A QEMU that pauses for the one pauses for the other, unless a person has chosen something.
  const endStates = actions.panic === null ? ['shutdown', 'guest-panicked'] : ['shutdown'];
  const lastWill: LastWill = await writeLastWill(
    'will="$1"; program="$2"; shift 2; exec "$will" -e "$program" -- "$@"',
    [execPath, letEnd, qmpSocket, ...endStates],
    env,
  );
  let isTakenBack = false;
  const takeBack = async (): Promise<void> => {
    if (isTakenBack) return;
    // If QEMU hangs, the last will waits for it when this process ends.
    if (isAlive(process) && !(await endsAgain(session, endStates)) && isAlive(process)) return;
    isTakenBack = true;
    await lastWill.revoke();
  };
  if ((await qmp.tryExecute('set-action', { shutdown: 'pause' })) !== null) return { endStates, takeBack };
  await lastWill.revoke();
  return null;
}

/** A connection on which QEMU did not answer in time is of no use any more. */
async function endsAgain({ qmp, qmpSocket }: QemuSession, endStates: readonly string[]): Promise<boolean> {
  try {
    using fresh = qmp.ending === null ? null : await Qmp.connect(qmpSocket);
    const monitor = fresh ?? qmp;
    await monitor.tryExecute('set-action', { shutdown: 'poweroff' });
    if (endStates.includes(await runState(monitor))) await monitor.tryExecute('quit');
    return true;
  } catch (error) {
    if (error instanceof QmpError) return false;
    throw error;
  }
}

/** What a person has chosen on QEMU's command line; null: nothing. */
function chosenActions(pid: number): { shutdown: string | null; panic: string | null } {
  const argv = qemuInvocation(pid)?.argv ?? [];
  const chosen = argv.filter((_, index) => /^-?-action$/.test(argv[index - 1] ?? '')).join(',');
  const actionOf = (event: string) => new RegExp(`(?:^|,)${event}=([a-z-]+)`).exec(chosen)?.[1] ?? null;
  const isKept = argv.some((word) => /^-?-no-shutdown$/.test(word));
  return { shutdown: isKept ? 'pause' : actionOf('shutdown'), panic: actionOf('panic') };
}

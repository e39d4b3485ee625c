import { execPath } from 'node:process';
import { writeLastWill, type LastWill } from '../../../../system/last-will.ts';
import { isAlive, type ProcessIdentity } from '../../../../system/proc-process.ts';
import { QmpError } from '../qmp/qmp.ts';
import { qemuInvocation } from './qemu-process.ts';
import { runState, type QemuSession } from './session.ts';

/** A QEMU that pauses when its guest ends, instead of ending as well: what it has in memory can still be read then. */
export interface EndPause {
  /** QEMU ends with its guest again, if it did before: at once if the guest has ended. */
  takeBack(): Promise<void>;
}

/**
 * A program for Node that lets QEMU end with its guest again, or at once if the guest has ended. Its argument is the socket of QMP. A
 * socket that stays open, because nothing answers, is closed after 3 s.
 */
const letEnd = `
const socket = require('net').connect(process.argv[1]);
const say = (execute, args) => socket.write(JSON.stringify({ execute, arguments: args }) + '\\n');
let heard = '';
socket.on('error', () => {}).on('data', (data) => {
  heard += data;
  if (/"status": *"shutdown"/.test(heard)) say('quit');
});
say('qmp_capabilities');
say('set-action', { shutdown: 'poweroff' });
say('query-status');
setTimeout(() => socket.destroy(), 3000);
`;

/**
 * Has QEMU pause when its guest ends; when this process dies before, QEMU is told to end. Null if this QEMU cannot do so (before 6.0).
 * Throws QmpError when QEMU does not answer. Source: `set-action` in QEMU's qapi/run-state.json.
 */
export async function pauseAtEnd(
  process: ProcessIdentity,
  { qmp, qmpSocket }: QemuSession,
  env: NodeJS.ProcessEnv,
): Promise<EndPause | null> {
  // A person has asked for it.
  if (pausesByItself(process.pid)) return { takeBack: () => Promise.resolve() };
  const lastWill: LastWill = await writeLastWill(
    'exec "$1" -e "$2" -- "$3"',
    [execPath, letEnd, qmpSocket],
    env,
  );
  const takeBack = async (): Promise<void> => {
    try {
      if (qmp.ending === null) {
        await qmp.tryExecute('set-action', { shutdown: 'poweroff' });
        if ((await runState(qmp)) === 'shutdown') await qmp.tryExecute('quit');
      }
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      // It has ended, or hangs: the last will tries once more when this process ends.
      if (isAlive(process)) return;
    }
    await lastWill.revoke();
  };
  if ((await qmp.tryExecute('set-action', { shutdown: 'pause' })) !== null) return { takeBack };
  await lastWill.revoke();
  return null;
}

function pausesByItself(pid: number): boolean {
  const argv = qemuInvocation(pid)?.argv ?? [];
  return argv.some((word, index) => {
    if (/^-?-no-shutdown$/.test(word)) return true;
    return /^-?-action$/.test(argv[index - 1] ?? '') && /(?:^|,)shutdown=pause(?:,|$)/.test(word);
  });
}

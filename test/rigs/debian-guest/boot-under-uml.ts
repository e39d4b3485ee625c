import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { umlKernel } from '../../support/guests/uml-kernel.ts';
import { waitByCpuTime } from '../base/wait-by-cpu-time.ts';

/** Boots a Debian guest, which reports and switches itself off. Returns what its console showed. */
export async function bootUnderUml(image: string, directory: string): Promise<string> {
  const log = join(directory, 'uml-console.log');
  const fd = openSync(log, 'w');
  const kernel = spawn(
    umlKernel(),
    [
      `ubd0=${image}`,
      'root=/dev/ubda',
      'rw',
      'mem=256M',
      'initcall_blacklist=raid6_select_algo',
      'umid=debian',
      `uml_dir=${join(directory, 'uml')}`,
      'con=null',
      'con0=null,fd:1',
      'report=poweroff',
    ],
    { detached: true, stdio: ['ignore', fd, fd], env: { ...process.env, HOME: directory } },
  );
  closeSync(fd);
  let ended = false;
  kernel.on('close', () => (ended = true)).on('error', () => (ended = true));
  const { pid = 0 } = kernel;
  const console = () => readFileSync(log, 'latin1');
  try {
    await waitByCpuTime('the report under User Mode Linux', () => console().includes('REPORT end'), {
      pid,
      cpuSeconds: 120,
      hopeless: () => (ended ? 'it has ended' : null),
      lastWords: () => console().slice(-2000),
    });
    await waitByCpuTime('the end of User Mode Linux', () => ended, {
      pid,
      cpuSeconds: 60,
      hopeless: () => null,
    }).catch(
      // The process is gone between two looks.
      (error: unknown) => {
        if (!ended) throw error;
      },
    );
    return console();
  } finally {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

export const programFile = join(import.meta.dirname, '../../../bin/vmferry.js');
/** For `node --import`; see there. */
export const peakModule = join(import.meta.dirname, 'report-peak-memory.mjs');

export interface EndedProgram {
  /** null when a signal ended it. */
  exitStatus: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningProgram {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
  ended: Promise<EndedProgram>;
}

/** Starts vmferry as it is installed: the built program, in a process of its own. Its stdin stays open. */
export function startVmferry(args: readonly string[], environment: NodeJS.ProcessEnv = {}): RunningProgram {
  const child = spawn(process.execPath, [programFile, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // The program must not get Jest's options.
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
  });
  const end = async (): Promise<EndedProgram> => {
    const closed = once(child, 'close') as Promise<[number | null]>;
    const [stdout, stderr, [exitStatus]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      closed,
    ]);
    return { exitStatus, stdout, stderr };
  };
  return { child, ended: end() };
}

/** Runs vmferry to its end, with nothing on stdin. */
export function vmferry(args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<EndedProgram> {
  const { child, ended } = startVmferry(args, environment);
  child.stdin.end();
  return ended;
}

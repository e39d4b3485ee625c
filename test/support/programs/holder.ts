import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** A program that has the file open in each of these modes (`r`, `r+`, `a`), until it is ended. */
export async function startHolder(path: string, modes: readonly string[]): Promise<ChildProcess> {
  const descriptors = modes.map((mode) => openSync(path, mode));
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', ...descriptors] });
  await once(child, 'spawn');
  descriptors.forEach((fd) => closeSync(fd));
  return child;
}

export async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

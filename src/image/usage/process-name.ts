import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { cleanText } from '../file-systems/identity-text.ts';

/** The name by which people know a process; `unknown` when it is gone. */
export async function processName(pid: number): Promise<string> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return vmferryCommand(commandLine.split('\0')) ?? (await kernelsName(pid));
}

/** `vmferry backup`; the kernel calls it `node`. */
function vmferryCommand([program = '', script = '', command = '']: readonly string[]): string | null {
  if (basename(program) !== 'node' || !/^vmferry(\.js)?$/.test(basename(script))) return null;
  // Other arguments may be private.
  return /^[a-z]{1,20}$/.test(command) ? ['vmferry', command].join(' ') : 'vmferry';
}

async function kernelsName(pid: number): Promise<string> {
  const name = cleanText(await readFile(`/proc/${pid}/comm`).catch(() => new Uint8Array()));
  return name.replace(/\?$/, '') || 'unknown';
}

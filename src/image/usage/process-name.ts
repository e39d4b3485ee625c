import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { cleanText } from '../file-systems/ext/identity-text.ts';

/** What people know a process by; `unknown` for one that is gone. */
export async function processName(pid: number): Promise<string> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return vmferryCommand(commandLine.split('\0')) ?? (await kernelsName(pid));
}

/** `vmferry backup`: to the kernel it is `node`, which people take for something else. */
function vmferryCommand([program = '', script = '', command = '']: readonly string[]): string | null {
  if (basename(program) !== 'node' || !/^vmferry(\.js)?$/.test(basename(script))) return null;
  // The other arguments of a stranger's process are not to be shown.
  return /^[a-z]{1,20}$/.test(command) ? `vmferry ${command}` : 'vmferry';
}

async function kernelsName(pid: number): Promise<string> {
  const name = cleanText(await readFile(`/proc/${pid}/comm`).catch(() => new Uint8Array()));
  return name.replace(/\?$/, '') || 'unknown';
}

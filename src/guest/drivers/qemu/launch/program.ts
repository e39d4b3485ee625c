import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { isQemuProgram } from '../arguments/command.ts';
import type { QemuHost } from './host.ts';

/** Where distributions put QEMU outside the PATH. */
const otherPrograms = ['/usr/libexec/qemu-kvm', '/usr/bin/kvm'];

/**
 * The program for a guest that ran with `wanted`: the same path; the same name on the PATH; for a PC one with another name.
 * Null when there is none.
 * @param isTrusted false: `wanted` may be anybody's, and only its name counts
 */
export function findProgram(wanted: string, { environment }: QemuHost, isTrusted = true): string | null {
  const name = basename(wanted);
  if (!isQemuProgram(name)) return null;
  if (isTrusted && wanted.startsWith('/') && isExecutable(wanted)) return wanted;
  const isPc =
    !name.startsWith('qemu-system-') || name === 'qemu-system-x86_64' || name === 'qemu-system-i386';
  const names = name.startsWith('qemu-system-') ? [name] : [];
  if (isPc) names.push('qemu-system-x86_64', 'qemu-kvm', 'kvm');
  const directories = (environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter);
  const candidates = names.flatMap((one) => directories.map((directory) => join(directory, one)));
  return [...candidates, ...(isPc ? otherPrograms : [])].find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

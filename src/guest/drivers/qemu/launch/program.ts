import { basename } from 'node:path';
import { isExecutableFile, pathsOfProgram } from '../../../../system/children/find-program.ts';
import { isQemuProgram } from '../arguments/program-name.ts';
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
  if (isTrusted && wanted.startsWith('/') && isExecutableFile(wanted)) return wanted;
  const isPc =
    !name.startsWith('qemu-system-') || name === 'qemu-system-x86_64' || name === 'qemu-system-i386';
  const names = name.startsWith('qemu-system-') ? [name] : [];
  if (isPc) names.push('qemu-system-x86_64', 'qemu-kvm', 'kvm');
  const candidates = names.flatMap((one) => pathsOfProgram(one, environment));
  return [...candidates, ...(isPc ? otherPrograms : [])].find(isExecutableFile) ?? null;
}

import { Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import { mayHaveDomains } from './host.ts';
import type { AskOptions, Virsh } from './virsh.ts';

/** What `virsh dominfo` says. */
export interface DomainInfo {
  /** The number of this run; null when it does not run. */
  id: number | null;
  name: string;
  uuid: string;
  /** `running`, `paused`, `shut off`, `in shutdown`, `crashed`, `pmsuspended`, `idle`. */
  state: string;
  isPersistent: boolean;
  autostart: boolean;
  /** Its memory was saved to a file, and its next start goes on from there. */
  isSaved: boolean;
  cpuSeconds: number;
}

/**
 * The UUIDs of the domains that run (also paused ones), or of those that do not. None where there is no libvirt. Throws Failure
 * `hypervisor-missing` when a libvirt that may have some does not answer: its domains run on without it.
 */
export async function listDomains(
  virsh: Virsh,
  which: 'running' | 'kept',
  options: AskOptions,
): Promise<string[]> {
  const args = ['list', '--uuid', ...(which === 'kept' ? ['--inactive'] : [])];
  const { ok, text, problem } = await virsh.ask(args, options);
  if (ok) return text.match(/[0-9a-f-]{36}/g) ?? [];
  options.signal?.throwIfAborted();
  if (virsh.host.unusable !== null || !mayHaveDomains(virsh.host, which)) return [];
  throw noAnswer(problem);
}

/** Of a libvirt that may have the domain in question: without an answer, nobody knows whether it runs. */
export function noAnswer(problem: string): Failure {
  return new Failure('hypervisor-missing', placed`libvirt does not answer ${here}: ${problem}.`, {
    advice: placed`Start it (\`${command('systemctl', 'start', 'libvirtd')}\`, or virtqemud), and try \`${command('virsh', 'list', '--all')}\`.`,
  });
}

/**
 * Whether there is no such domain. virsh hides why it has not found one, so libvirt is asked for all that it has. Throws Failure
 * `hypervisor-missing` when it does not say. `domain`: a UUID, or a name.
 */
export async function isGone(virsh: Virsh, domain: string, options?: AskOptions): Promise<boolean> {
  const { ok, text, problem } = await virsh.ask(['list', '--all', '--uuid', '--name'], options);
  if (!ok) throw noAnswer(problem);
  // One line for each: its UUID, which has no blanks, and its name.
  const known = text.split('\n').map((line) => /^(\S+)\s*(.*?)\s*$/.exec(line));
  return !known.some((domainLine) => domainLine?.[1] === domain || domainLine?.[2] === domain);
}

/**
 * Null when there is no such domain. `domain`: a UUID, or a name. Throws Failure `hypervisor-missing` when libvirt does not say whether
 * there is.
 */
export async function domainInfo(
  virsh: Virsh,
  domain: string,
  options?: AskOptions,
): Promise<DomainInfo | null> {
  const { ok, text, problem } = await virsh.ask(['dominfo', `--domain=${domain}`], options);
  if (!ok && (virsh.host.unusable !== null || (await isGone(virsh, domain, options)))) return null;
  if (!ok) throw noAnswer(problem);
  const entries = text.split('\n').flatMap((line) => {
    const [, key, value] = /^([^:]+): +(.*)$/.exec(line) ?? [];
    return key === undefined || value === undefined ? [] : [[key, value] as const];
  });
  const fields = new Map(entries);
  const field = (name: string) => fields.get(name) ?? '';
  return {
    id: /^\d+$/.test(field('Id')) ? Number(field('Id')) : null,
    name: field('Name'),
    uuid: field('UUID').toLowerCase(),
    state: field('State'),
    isPersistent: field('Persistent') === 'yes',
    autostart: field('Autostart') === 'enable',
    isSaved: field('Managed save') === 'yes',
    cpuSeconds: Number.parseFloat(field('CPU time')) || 0,
  };
}

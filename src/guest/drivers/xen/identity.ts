import type { GuestIdentity, RunningGuest } from '../../guest-driver.ts';
import { bootId } from './host/domains.ts';

/** One run of a guest is one domain. A domain is no process. */
export function identityOf(domid: number): GuestIdentity {
  return { id: `${domid} ${bootId()}`, label: `domain ${domid}` };
}

/** The number of the guest's domain; null if this machine was started again since. */
export function domidOfRun({ identity }: Pick<RunningGuest, 'identity'>): number | null {
  const [domid = '', boot] = identity.id.split(' ');
  return boot === bootId() && /^\d+$/.test(domid) ? Number(domid) : null;
}

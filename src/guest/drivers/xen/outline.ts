import type { DriverOutline } from '../deferred-driver.ts';
import { findProgram, xenHost } from './host/host.ts';

/** Without xl, no domain can be seen. */
export function xenOutline(environment: NodeJS.ProcessEnv): DriverOutline {
  const host = xenHost(environment);
  return {
    kind: 'xen',
    environmentNames: ['VMFERRY_XEN_DIR'],
    mayHaveGuests: () => findProgram(host, 'xl') !== null,
  };
}

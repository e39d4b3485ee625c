import { findProgramOnPath } from '../../../system/children/find-program.ts';
import type { DriverOutline } from '../deferred-driver.ts';

/** Without virsh, no domain can be seen. */
export function libvirtOutline(environment: NodeJS.ProcessEnv): DriverOutline {
  return {
    kind: 'libvirt',
    // By these, virsh finds libvirt, and a session its sockets and files.
    environmentNames: [
      'VIRSH_DEFAULT_CONNECT_URI',
      'LIBVIRT_DEFAULT_URI',
      'XDG_RUNTIME_DIR',
      'XDG_CONFIG_HOME',
      'HOME',
    ],
    mayHaveGuests: () => findProgramOnPath('virsh', environment) !== null,
  };
}

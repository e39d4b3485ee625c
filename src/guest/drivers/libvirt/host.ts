import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** The libvirt whose guests are meant, and how virsh is started. */
export interface LibvirtHost {
  uri: string;
  /** Why this libvirt has no guests that vmferry can move; null when it can. */
  unusable: string | null;
  /** Where a session's libvirt keeps its domains; null for the system's. */
  sessionDirectory: string | null;
  environment: NodeJS.ProcessEnv;
}

/** As virsh does: what was chosen in the environment, else the system's libvirt for root, and the account's own for others. */
export function libvirtHost(environment: NodeJS.ProcessEnv): LibvirtHost {
  const chosen = environment['VIRSH_DEFAULT_CONNECT_URI'] || environment['LIBVIRT_DEFAULT_URI'];
  const uri = chosen || (process.getuid?.() === 0 ? 'qemu:///system' : 'qemu:///session');
  const home = environment['HOME'] || homedir();
  const configuration = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  return {
    uri,
    unusable: whyUnusable(uri),
    sessionDirectory: uri.includes('/session') ? join(configuration, 'libvirt/qemu') : null,
    environment: { ...environment, LC_ALL: 'C', LANGUAGE: 'C' },
  };
}

/** https://libvirt.org/uri.html: the driver, a way to reach it, and the machine. */
function whyUnusable(uri: string): string | null {
  const [, driver = '', machine = ''] = /^([a-z]+)(?:\+[a-z0-9]+)?:\/\/([^/?]*)\//.exec(uri) ?? [];
  if (driver !== 'qemu') return `its URI ${uri} names no QEMU`;
  return machine === '' ? null : `its URI ${uri} names another machine`;
}

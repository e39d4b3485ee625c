import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { errorCode } from '../../../system/error-code.ts';

/** The libvirt whose guests are meant, and how virsh is started. */
export interface LibvirtHost {
  uri: string;
  /** Why this libvirt has no guests that vmferry can move; null when it can. */
  unusable: string | null;
  /** Where a session's libvirt keeps its domains; null for the system's. */
  sessionDirectory: string | null;
  /** Where this libvirt has a file for each domain that it keeps, and for each that runs; null if that is not known. */
  domainDirectories: { kept: string; running: string } | null;
  environment: NodeJS.ProcessEnv;
}

/** As virsh does: what was chosen in the environment, else the system's libvirt for root, and the account's own for others. */
export function libvirtHost(environment: NodeJS.ProcessEnv): LibvirtHost {
  const chosen = environment['VIRSH_DEFAULT_CONNECT_URI'] || environment['LIBVIRT_DEFAULT_URI'];
  const uri = chosen || (process.getuid?.() === 0 ? 'qemu:///system' : 'qemu:///session');
  const home = environment['HOME'] || homedir();
  const configuration = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  // A login without it, such as by cron, finds guests that were started in one with it.
  const usual = `/run/user/${process.getuid?.() ?? 0}`;
  const runtime = environment['XDG_RUNTIME_DIR'] || (existsSync(usual) ? usual : join(home, '.cache'));
  const session = { kept: join(configuration, 'libvirt/qemu'), running: join(runtime, 'libvirt/qemu/run') };
  const system = { kept: '/etc/libvirt/qemu', running: '/run/libvirt/qemu' };
  return {
    uri,
    unusable: whyUnusable(uri),
    sessionDirectory: uri.includes('/session') ? session.kept : null,
    domainDirectories: uri === 'qemu:///system' ? system : uri === 'qemu:///session' ? session : null,
    environment: { ...environment, LC_ALL: 'C', LANGUAGE: 'C' },
  };
}

/** Whether a libvirt that does not answer may have such domains, by its files. */
export function mayHaveDomains(
  { domainDirectories }: Pick<LibvirtHost, 'domainDirectories'>,
  which: 'running' | 'kept',
): boolean {
  if (domainDirectories === null) return true;
  try {
    return readdirSync(domainDirectories[which]).some((name) => name.endsWith('.xml'));
  } catch (error) {
    // Not there: libvirt never had one. Not ours to read: there may be one.
    return !['ENOENT', 'ENOTDIR'].includes(errorCode(error));
  }
}

/** https://libvirt.org/uri.html: the driver, a way to reach it, and the machine. */
function whyUnusable(uri: string): string | null {
  const [, driver = '', machine = ''] = /^([a-z]+)(?:\+[a-z0-9]+)?:\/\/([^/?]*)\//.exec(uri) ?? [];
  if (driver !== 'qemu') return `its URI ${uri} names no QEMU`;
  return machine === '' ? null : `its URI ${uri} names another machine`;
}

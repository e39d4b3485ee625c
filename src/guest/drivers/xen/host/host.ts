import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { isExecutableFile, pathsOfProgram } from '../../../../system/children/find-program.ts';

/** Where the guests of Xen are found on this machine, and with what they are controlled. Tests give other places. */
export interface XenHost {
  environment: NodeJS.ProcessEnv;
  /** Contains the guests' configurations. */
  configDirectory: string;
  /** What is in there, xendomains starts with the machine. */
  autoDirectory: string;
  /** Where configurations are put so that nothing starts them. In the same file system as `configDirectory`. */
  fencedDirectory: string;
  /** Configurations of guests that were started without being kept; lost when the machine starts again. */
  runDirectory: string;
  /** xenconsoled logs the guests' consoles there, if it was told to. */
  consoleDirectory: string;
  /** The machine's own kernels. */
  kernelDirectory: string;
}

/** `$VMFERRY_XEN_DIR` stands for /etc/xen. */
export function xenHost(environment: NodeJS.ProcessEnv): XenHost {
  const configDirectory = resolve(environment['VMFERRY_XEN_DIR'] || '/etc/xen');
  return {
    environment,
    configDirectory,
    autoDirectory: join(configDirectory, 'auto'),
    fencedDirectory: join(configDirectory, 'vmferry-fenced'),
    runDirectory: '/run/vmferry/xen',
    consoleDirectory: '/var/log/xen/console',
    kernelDirectory: '/boot',
  };
}

/** A program on the PATH, or where Debian has those for root. Starts nothing. */
export function findProgram(host: XenHost, name: string): string | null {
  const elsewhere = ['/usr/sbin', '/sbin', '/usr/bin'].map((directory) => join(directory, name));
  const paths = [...pathsOfProgram(name, host.environment), ...elsewhere];
  return paths.find((path) => isAbsolute(path) && isExecutableFile(path)) ?? null;
}

/** Whether this is a domain that controls others: only there does xl work. Xen's xenfs and sysfs say so. */
export function isControlDomain(): boolean {
  const capabilities = textOrEmpty('/proc/xen/capabilities');
  if (capabilities !== '') return capabilities.includes('control_d');
  // Without xenfs: bit 1 of the features (XENFEAT_dom0 is 11) says the same.
  const features = Number.parseInt(textOrEmpty('/sys/hypervisor/properties/features'), 16);
  return Number.isInteger(features) && (features & (1 << 11)) !== 0;
}

function textOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Xen's boot loader for paravirtual guests; xl itself looks for it in Xen's own directory first. */
export function findPygrub(host: XenHost): string | null {
  const directories = namesIn('/usr/lib').filter((name) => name.startsWith('xen'));
  const paths = [
    ...directories.map((name) => `/usr/lib/${name}/bin/pygrub`),
    '/usr/libexec/xen/bin/pygrub',
    '/usr/local/lib/xen/bin/pygrub',
  ];
  return findProgram(host, 'pygrub') ?? paths.find(existsSync) ?? null;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { writeLastWill, type LastWill } from '../../../src/system/last-will.ts';
import { run, type CommandResult } from '../../../src/system/processes.ts';
import { findTool, toolsMissing } from '../../support/programs/tools.ts';

/** A libvirt of its own, with no guests. Several can run side by side. */
export interface LibvirtLab extends AsyncDisposable {
  uri: string;
  /** This process's environment, with this libvirt as the one that virsh finds. */
  environment: NodeJS.ProcessEnv;
  /** libvirt's own files: definitions are in `etc/qemu`. */
  directory: string;
  virsh(...args: readonly string[]): Promise<CommandResult>;
  /** Ends libvirt, but not the guests; they are ended when the lab is. */
  stop(): Promise<void>;
  /** Starts it again after `stop`. */
  start(): Promise<void>;
}

/** Why no libvirt can be started here; null when one can. */
export function libvirtMissing(): string | null {
  const missing = toolsMissing('libvirtd', 'virsh', 'qemu-system-x86_64', 'unshare');
  if (missing !== null) return missing;
  return process.getuid?.() === 0 ? null : 'needs root';
}

const startTimeoutMs = 60_000;

/** Guests run as root, and nothing changes the owners of their images. No cgroups, no AppArmor, no daemon for logs. */
const qemuConfiguration = `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
security_default_confined = 0
stdio_handler = "file"
cgroup_controllers = [ ]
namespaces = [ ]
`;

const daemonConfiguration = `unix_sock_auth = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
`;

/** Debian's libvirtd does not start without this account, which only the package with the services makes. It is not used. */
const qemuAccount = 'libvirt-qemu';
const passwdLine = `${qemuAccount}:x:64055:64055:Libvirt Qemu:/var/lib/libvirt:/usr/sbin/nologin\n`;
const groupLine = `${qemuAccount}:x:64055:\n`;

/** libvirt's directories are fixed; in a mount namespace of its own, the lab's are there instead. */
const startScript = `set -e
mount --make-rprivate /
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
for pair in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
  mkdir -p "\${pair#*:}"
  mount --bind "$1/\${pair%%:*}" "\${pair#*:}"
done
exec "$2" --pid-file "$1/libvirtd.pid"`;

/** When this process dies: ends the guests, and libvirt. */
const lastWillScript = `for id in $(virsh -q --connect "$1" list --id); do virsh -q --connect "$1" destroy "$id"; done
kill "$(cat "$2")"`;

/**
 * Starts a libvirtd as root: without systemd, and without a change to the machine's own libvirt.
 * @param startedBy a program and its arguments that start it, such as those of `NetworkLab.prefix`: its guests are in that network
 */
export async function startLibvirt(startedBy: readonly string[] = []): Promise<LibvirtLab> {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-libvirt-lab-'));
  for (const name of ['etc', 'run', 'lib', 'log', 'cache']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'etc/libvirtd.conf'), daemonConfiguration);
  writeFileSync(join(directory, 'etc/qemu.conf'), qemuConfiguration);
  writeWithLine('/etc/passwd', passwdLine, join(directory, 'passwd'));
  writeWithLine('/etc/group', groupLine, join(directory, 'group'));
  const uri = `qemu+unix:///system?socket=${join(directory, 'run/libvirt-sock')}`;
  const environment = { ...process.env, LIBVIRT_DEFAULT_URI: uri, VIRSH_DEFAULT_CONNECT_URI: uri };
  const virsh = (...args: readonly string[]) =>
    run('virsh', ['-q', '--connect', uri, ...args], { env: { ...environment, LC_ALL: 'C' } });
  let daemon: ChildProcess | null = null;
  let lastWill: LastWill | null = null;

  const stop = async (): Promise<void> => {
    const running = daemon;
    daemon = null;
    if (running === null || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    running.kill('SIGTERM');
    await ended;
  };
  const start = async (): Promise<void> => {
    daemon = launch(directory, startedBy);
    const started = daemon;
    const deadline = Date.now() + startTimeoutMs;
    while ((await virsh('version')).exitStatus !== 0) {
      if (started.exitCode !== null || Date.now() > deadline)
        throw new Error(`libvirtd did not start: ${readFileSync(join(directory, 'libvirtd.log'), 'utf8')}`);
      await delay(100);
    }
  };
  const end = async (): Promise<void> => {
    if (daemon === null) await start();
    const { stdout } = await virsh('list', '--id');
    for (const id of stdout.split(/\s+/).filter((one) => one !== '')) await virsh('destroy', id);
    await stop();
    await lastWill?.revoke();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    lastWill = await writeLastWill(lastWillScript, [uri, join(directory, 'libvirtd.pid')], environment);
    await start();
  } catch (error) {
    await stop();
    await lastWill?.revoke();
    throw error;
  }
  return { uri, environment, directory, virsh, stop, start, [Symbol.asyncDispose]: end };
}

/** A copy of the machine's file, with this line at its end unless the account is there already. */
function writeWithLine(file: string, line: string, copy: string): void {
  const text = readFileSync(file, 'utf8');
  const isThere = new RegExp(`^${qemuAccount}:`, 'm').test(text);
  writeFileSync(copy, isThere ? text : text.replace(/\n*$/, '\n') + line);
}

function launch(directory: string, startedBy: readonly string[]): ChildProcess {
  const log = openSync(join(directory, 'libvirtd.log'), 'a');
  try {
    const libvirtd = findTool('libvirtd') ?? 'libvirtd';
    const shell = ['sh', '-c', startScript, 'sh', directory, libvirtd];
    const [program = '', ...args] = [...startedBy, 'unshare', '--mount', ...shell];
    return spawn(program, args, {
      stdio: ['ignore', log, log],
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { errorCode } from '../../../src/system/error-code.ts';
import { run } from '../../../src/system/processes.ts';
import { eventually } from '../guests/ferried-guest.ts';
import { systemd } from './systemd-manager.ts';
import { toolsMissing } from './tools.ts';

/** A machine whose first process is a real systemd. It shares the files of this machine, and its kernel. */
export interface SystemdMachine extends AsyncDisposable {
  /** The words before a command line that make it run on this machine. */
  prefix: readonly string[];
  /** Returns what it prints. Throws if it fails. */
  systemctl(...words: readonly string[]): Promise<string>;
  /** Returns when all units have ended in order, and the machine is off. */
  shutDown(): Promise<void>;
}

/** Why no such machine can be booted here; null if one can. */
export function systemdMachineMissing(): string | null {
  if (process.getuid?.() !== 0) return 'only root can boot a systemd';
  return (
    toolsMissing('unshare', 'nsenter', 'setpriv', 'systemctl') ??
    (existsSync(systemd) ? null : 'systemd is not installed')
  );
}

/** The units of Debian that a shutdown needs. */
const shutdownUnits = ['poweroff.target', 'systemd-poweroff.service', 'umount.target', 'final.target'];
/** The targets of a machine that does nothing else. */
const targets = [
  ['sysinit', []],
  ['local-fs', []],
  ['remote-fs', []],
  ['network-online', []],
  ['basic', ['Requires=sysinit.target', 'After=sysinit.target']],
  ['multi-user', ['Requires=basic.target', 'After=basic.target']],
] as const;

/**
 * Makes the directory of units of a machine, which stays when the machine is shut down: in the machine it is /etc/systemd/system. What
 * services print goes to the file `log` beside it.
 */
export function unitDirectoryOf(directory: string): string {
  const units = join(directory, 'units');
  mkdirSync(join(units, 'service.d'), { recursive: true });
  for (const [name, lines] of targets) {
    const ends = ['Conflicts=shutdown.target', 'Before=shutdown.target'];
    const text = ['[Unit]', 'DefaultDependencies=no', ...lines, ...ends, ''].join('\n');
    writeFileSync(join(units, `${name}.target`), text);
  }
  writeFileSync(join(units, 'shutdown.target'), '[Unit]\nDefaultDependencies=no\n');
  symlinkSync('multi-user.target', join(units, 'default.target'));
  for (const unit of shutdownUnits) symlinkSync(`/lib/systemd/system/${unit}`, join(units, unit));
  const log = ['[Service]', `StandardOutput=append:${join(directory, 'log')}`, 'StandardError=inherit', ''];
  writeFileSync(join(units, 'service.d', 'log.conf'), log.join('\n'));
  return units;
}

/**
 * Boots a machine. Returns when its services have been started.
 *
 * A systemd takes what it finds for its own. So this one has namespaces of its own, a control group below that of the test, no swap, and
 * settings of the kernel that it cannot change.
 *
 * Nothing of it is left if it does not boot.
 *
 * @param startedBy the words that make it run in a network namespace
 * @param limitMs for its boot
 */
export async function bootSystemdMachine(
  units: string,
  startedBy: readonly string[] = [],
  limitMs = 120_000,
): Promise<SystemdMachine> {
  const group = makeControlGroup();
  const argv = [joinGroup, group, ...startedBy, ...ownNamespaces, 'sh', '-c', boot, systemd, units];
  const child = spawn('sh', ['-c', ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'close').then(() => removeControlGroup(group));
  // Whoever waits for it is told.
  ended.catch(() => undefined);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  let first = 0;
  const prefix = (): string[] => ['nsenter', '--target', String(first), '--all'];
  const ask = (words: readonly string[]) => {
    const [command = '', ...args] = [...prefix(), 'systemctl', ...words];
    return run(command, args, { timeoutMs: 120_000 });
  };
  const systemctl = async (...words: readonly string[]): Promise<string> => {
    const { exitStatus, stdout, stderr } = await ask(words);
    if (exitStatus !== 0) throw new Error(`systemctl ${words.join(' ')}: ${stderr}${stdout}`);
    return stdout.trim();
  };
  // With the parent of its first process, all processes of the machine end.
  const end = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const booted = eventually('systemd has started its units', limitMs, async () => {
    if (hasEnded()) throw new Error(`systemd could not be booted: ${said}`);
    first = childOf(child.pid ?? 0);
    if (first === 0) return false;
    const { stdout } = await ask(['is-system-running']);
    // Degraded: a unit has failed.
    return ['running', 'degraded'].includes(stdout.trim());
  });
  try {
    await booted;
  } catch (error) {
    await end();
    throw error;
  }
  return {
    prefix: prefix(),
    systemctl,
    shutDown: async () => {
      await systemctl('poweroff');
      await ended;
    },
    [Symbol.asyncDispose]: end,
  };
}

function makeControlGroup(): string {
  const tree = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
    existsSync(join(path, 'cgroup.procs')),
  );
  const own = /^0::\/(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (tree === undefined || own === undefined)
    throw new Error('the control groups of version 2 are not mounted');
  return mkdtempSync(join(tree, own, 'vmferry-test-'));
}

/** Returns when its last process has ended, and it is removed. */
async function removeControlGroup(group: string): Promise<void> {
  await eventually(`${group} has no process`, 20_000, () =>
    readFileSync(join(group, 'cgroup.events'), 'latin1').includes('populated 0'),
  );
  removeGroups(group);
}

/** Groups have files that are no obstacle to rmdir(2). */
function removeGroups(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(join(group, entry.name));
  rmdirSync(group);
}

/** 0 if it has none yet, or has ended. */
function childOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errorCode(error))) return 0;
    throw error;
  }
}

const joinGroup = 'echo 0 >"$0/cgroup.procs" && exec "$@"';
/** The machine ends with the test. */
const ownNamespaces =
  'setpriv --pdeathsig KILL unshare --pid --fork --kill-child --uts --ipc --cgroup --mount --propagation slave'.split(
    ' ',
  );
const boot = `
mount -t proc proc /proc &&
# What it is about to take for its own is the group of this machine.
grep -q '^0::/$' /proc/self/cgroup &&
mount --bind /proc/sys /proc/sys &&
mount -o remount,ro,bind /proc/sys &&
mount --bind /dev/null /proc/swaps &&
mount -o remount,ro,bind /sys &&
mount -t cgroup2 cgroup2 /sys/fs/cgroup &&
mount -t tmpfs tmpfs /run &&
mount --bind /dev/null /dev/console &&
mount --bind "$1" /etc/systemd/system &&
# "container": the clock, udev and the like are not its own.
exec env -i container=vmferry-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_LOG_TARGET=null "$0" --system
`;

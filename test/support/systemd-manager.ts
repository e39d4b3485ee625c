import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/system/processes.ts';

export const systemd = '/lib/systemd/systemd';

/**
 * Runs one service to its end under a systemd of its own, in its own namespaces for processes and mounts, with a /run of
 * its own. Gives the exit status of the command that failed, or 0; 226 says that the unit's limits could not be set up
 * (systemd.exec(5), "Process exit codes"). The unit lies in `directory`. Another process of another account runs beside
 * it: `sleep`, with the user id 65534.
 */
export async function runService(directory: string, unit: string): Promise<number | null> {
  const dropIn = join(directory, `${unit}.d`);
  mkdirSync(dropIn, { recursive: true });
  // Without targets, and with an end.
  const lines = ['[Unit]', 'DefaultDependencies=no', 'SuccessAction=exit-force', 'FailureAction=exit-force'];
  writeFileSync(join(dropIn, 'test.conf'), `${lines.join('\n')}\n`);
  const script = [
    'set -e',
    'status=0',
    'mount -t tmpfs tmpfs /run',
    // That systemd runs here is all that it asks of a machine (sd_booted(3)).
    'mkdir -p /run/systemd/system',
    'setpriv --reuid 65534 --clear-groups sleep 600 &',
    // One of an account, in root's name: it need not be the first process. Its runtime directory is where the system's is.
    `env SYSTEMD_UNIT_PATH="$0" XDG_RUNTIME_DIR=/run HOME="$0" ${systemd} --user --unit="$1" || status=$?`,
    // Control groups are in no namespace: it leaves its own, and these two processes in them.
    'kill $!; wait $! || true',
    'for group in /sys/fs/cgroup /sys/fs/cgroup/*; do echo $$ >"$group/cgroup.procs"; done 2>/dev/null || true',
    'rmdir /sys/fs/cgroup/app.slice /sys/fs/cgroup/init.scope 2>/dev/null || true',
    'rmdir /sys/fs/cgroup/*/app.slice /sys/fs/cgroup/*/init.scope 2>/dev/null || true',
    'exit $status',
  ];
  const args = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', script.join('\n')];
  const { exitStatus } = await run('unshare', [...args, directory, unit], { timeoutMs: 60_000 });
  return exitStatus;
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../../src/system/processes.ts';

export const systemd = '/lib/systemd/systemd';

/**
 * Runs one service to its end under a systemd of its own. Returns the exit status of the command that failed,
 * or 0; 226 means that the unit's limits could not be set up (systemd.exec(5), "Process exit codes"). The
 * unit lies in `directory`; `home` is the HOME of the systemd. Another process of another account runs beside it: `sleep`, with the user id
 * 65534.
 *
 * A systemd takes all processes that it finds in its control group into one of its own. So this one has
 * namespaces for processes and mounts, a control group below that of the test, and sees no other hierarchy of
 * control groups: it can reach no process but those that it has started.
 */
export async function runService(
  directory: string,
  unit: string,
  { home = directory, timeoutMs = 60_000 } = {},
): Promise<number | null> {
  const dropIn = join(directory, `${unit}.d`);
  mkdirSync(dropIn, { recursive: true });
  // No targets are needed, and systemd ends with the service.
  const lines = ['[Unit]', 'DefaultDependencies=no', 'SuccessAction=exit-force', 'FailureAction=exit-force'];
  writeFileSync(join(dropIn, 'test.conf'), `${lines.join('\n')}\n`);
  const args = [
    '--mount',
    '--propagation',
    'slave',
    '--pid',
    '--fork',
    '--mount-proc',
    '--kill-child',
    'sh',
    '-c',
    script,
  ];
  const { exitStatus, stderr } = await run('unshare', [...args, directory, unit, home], { timeoutMs });
  if (exitStatus === 99) throw new Error(`systemd could not be kept to itself: ${stderr}`);
  return exitStatus;
}

const script = `
isolate() {
  mount -t tmpfs tmpfs /run &&
  # That systemd runs here is all that it asks of a machine (sd_booted(3)).
  mkdir -p /run/systemd/system &&
  tree=/sys/fs/cgroup || return
  if ! test -e $tree/cgroup.procs; then
    for other in /sys/fs/cgroup/*/; do
      test "$other" = /sys/fs/cgroup/unified/ || mount -t tmpfs tmpfs "$other" || return
    done
    tree=/sys/fs/cgroup/unified
  fi
  parent="$tree$(sed -n 's/^0:://p' /proc/self/cgroup)" &&
  own="$(mktemp -d "$parent/vmferry-test-XXXXXX")" &&
  echo 0 >"$own/cgroup.procs" &&
  # What it is about to take for its own is this one.
  grep -q "^0::.*/vmferry-test-" /proc/self/cgroup
}
isolate || exit 99
setpriv --reuid 65534 --clear-groups sleep 600 &
# One of an account, in root's name: it need not be the first process. Its runtime directory is where the system's is.
env SYSTEMD_UNIT_PATH="$0" XDG_RUNTIME_DIR=/run HOME="$2" ${systemd} --user --unit="$1"
status=$?
kill $!
wait $!
echo 0 >"$parent/cgroup.procs"
find "$own" -depth -type d -exec rmdir {} +
exit $status
`;

import type { Failure } from '../../../failure.ts';
import { listProcesses, type ProcessInvocation } from '../../../system/proc-process.ts';
import type { ProcessStat } from '../../../system/proc-stat.ts';
import type { RunningGuest } from '../../guest-driver.ts';
import { identityOf } from '../process-identity.ts';
import { readQemuArguments } from './arguments/read.ts';
import type { QemuHost } from './launch/host.ts';
import { unnamedImages } from './running/open-images.ts';
import { withoutOwnMonitor } from './running/own-sockets.ts';
import { isOfMachine, qemuInvocation, resolvePath } from './running/qemu-process.ts';

/** The guests of QEMU that run now and belong to no other manager. Processes of other accounts are left out. */
export function findQemuGuests({ machine }: Pick<QemuHost, 'machine'>): RunningGuest[] {
  return listProcesses().flatMap((stat) => {
    const invocation = qemuInvocation(stat.pid);
    return invocation === null || !isOfMachine(stat.pid, machine) ? [] : [describeGuest(stat, invocation)];
  });
}

function describeGuest(stat: ProcessStat, invocation: ProcessInvocation): RunningGuest {
  const { pid } = stat;
  const [, ...args] = withoutOwnMonitor(invocation.argv);
  const { definition, problems } = readQemuArguments({
    argv: [invocation.executable, ...args],
    resolve: (path) => resolvePath(path, pid, invocation),
    fallbackName: `qemu-${pid}`,
  });
  const problem: Failure | undefined = problems[0] ?? unnamedImages(pid, definition) ?? undefined;
  return {
    definition,
    identity: identityOf(stat),
    // A guest is one process; its processors are threads of it.
    cpuSeconds: stat.cpuSeconds,
    ...(problem === undefined ? {} : { unsupported: problem }),
  };
}

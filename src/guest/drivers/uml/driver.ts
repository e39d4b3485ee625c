import type { Context } from '../../../events.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { FreezingDriver, KernelDriver } from '../../guest-driver.ts';
import { descendantsOf } from '../../../system/proc-process.ts';
import { processOf } from '../process-identity.ts';
import { isolateUml } from './isolate.ts';
import { probeUmlKernel } from './boot-probe.ts';
import { checkUmlBootable } from './check.ts';
import { freezeUml } from './freeze.ts';
import { haltUml } from './halt.ts';
import { umlHost } from './host.ts';
import { refuseStrangeKernel } from './kernel-file.ts';
import { umlKernelFacts } from './kernel-facts.ts';
import { findUmlGuests } from './find.ts';
import { startUml } from './start.ts';

/**
 * User Mode Linux: each guest is several processes of an ordinary user. It is found by the directory that its kernel
 * makes, and controlled by its mconsole. `environment` has UML_DIR and HOME, and is given to guests that are started.
 */
export function createUmlDriver(environment: NodeJS.ProcessEnv): FreezingDriver & KernelDriver {
  const host = umlHost(environment);
  return {
    kind: 'uml',
    environmentNames: ['UML_DIR', 'HOME'],
    list: async () => findUmlGuests(host),
    usersBesides: async (guest, users) => {
      const kernel = processOf(guest);
      if (kernel === null) return users;
      const own = [kernel, ...descendantsOf(kernel.pid)].map(({ pid }) => pid);
      return users.filter(({ pid }) => pid === undefined || !own.includes(pid));
    },
    halt: (guest, options, context) => haltUml(guest, options, host, context),
    freeze: (guest, options, context) => freezeUml(guest, options, host, context),
    // A missing kernel is found, with a warning, when the guest is checked and started.
    complete: (definition) => Promise.resolve(definition),
    checkBootable: async (definition, context, isVouchedFor = true) => {
      const { kernel, problems } = checkUmlBootable(definition, host);
      if (kernel === null) return problems;
      const refusal = isVouchedFor ? null : await refuseStrangeKernel(kernel);
      if (refusal !== null) return [...problems, refusal];
      warnOfOtherKernel(definition, kernel, context);
      const problem = await probeUmlKernel(kernel, host, context.signal);
      return problem === null ? problems : [...problems, problem];
    },
    kernelFacts: async (definition, { signal }) => {
      const { kernel } = checkUmlBootable(definition, host);
      return kernel === null ? null : umlKernelFacts(kernel, host, signal);
    },
    start: (definition, options, context) => startUml(definition, options, host, context),
    isolate: (...args) => Promise.resolve(isolateUml(...args)),
  };
}

function warnOfOtherKernel({ name, kernel }: GuestDefinition, found: string, context: Context): void {
  if (kernel === found) return;
  const message = `${name} ran with ${kernel ?? 'an unknown kernel'}, which is missing; it is booted with ${found}.`;
  context.report({ type: 'warning', code: 'kernel-differs', message });
}

import type { Context } from '../../../events.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { FreezingDriver } from '../../guest-driver.ts';
import { Mconsole } from './mconsole.ts';
import { probeUmlKernel } from './boot-probe.ts';
import { checkUmlBootable } from './bootable.ts';
import { freezeUml } from './freeze.ts';
import { haltUml } from './halt.ts';
import { socketPath, umlHost } from './host.ts';
import { refuseStrangeKernel } from './kernel-file.ts';
import { findUmlGuests } from './find.ts';
import { startUml } from './start.ts';

/**
 * User Mode Linux: each guest is a few processes of an ordinary user, found by the directory that its kernel
 * makes, and steered by its mconsole. `environment`: what guests are found by (UML_DIR, HOME) and started with.
 */
export function createUmlDriver(environment: NodeJS.ProcessEnv): FreezingDriver {
  const host = umlHost(environment);
  return {
    kind: 'uml',
    list: async () => findUmlGuests(host),
    halt: (guest, options, context) => {
      const socket = socketPath(host, guest.definition.name);
      // A question that was begun is answered within seconds; haltUml sees to the signal itself.
      const mconsole = new Mconsole(socket, environment, new AbortController().signal);
      return haltUml(guest, mconsole, options, context);
    },
    freeze: (guest, options, context) => freezeUml(guest, options, host, context),
    checkBootable: async (definition, context, isVouchedFor = true) => {
      const { kernel, problems } = checkUmlBootable(definition, host);
      if (kernel === null) return problems;
      const refusal = isVouchedFor ? null : await refuseStrangeKernel(kernel);
      if (refusal !== null) return [...problems, refusal];
      warnOfOtherKernel(definition, kernel, context);
      const problem = await probeUmlKernel(kernel, host, context.signal);
      return problem === null ? problems : [...problems, problem];
    },
    start: (definition, options, context) => startUml(definition, options, host, context),
  };
}

function warnOfOtherKernel({ name, kernel }: GuestDefinition, found: string, context: Context): void {
  if (kernel === found) return;
  const message = `${name} ran with ${kernel ?? 'a kernel that is not known'}, which is missing; it is booted with ${found}.`;
  context.report({ type: 'warning', code: 'kernel-differs', message });
}

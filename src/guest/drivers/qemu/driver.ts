import { rmSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { FreezingDriver, HugePageDriver, Recording, ViewingDriver } from '../../guest-driver.ts';
import { namesOf } from '../deferred-driver.ts';
import { processOf } from '../process-identity.ts';
import { needsKvm } from './launch/accelerate.ts';
import { checkQemu, hugePagesOfGuest } from './check.ts';
import { completeQemu } from './complete.ts';
import { findQemuGuests } from './find.ts';
import { freezeQemu } from './freeze.ts';
import { haltQemu } from './halt.ts';
import { qemuHost, runtimeDirectory } from './launch/host.ts';
import { isolateQemu } from './isolate.ts';
import { qemuOutline } from './outline.ts';
import type { Qmp } from './qmp/qmp.ts';
import { findSockets } from './running/qemu-process.ts';
import { probeQemu, type Accelerator } from './launch/probe.ts';
import { startQemu } from './start.ts';
import { viewQemu } from './view.ts';
import { endRecordings, recordWith, recordWrites } from './recording/record-writes.ts';

/**
 * QEMU without a manager: each guest is one process. It is found by /proc, described by its arguments, and told what to do
 * by the QMP socket that it was started with. `environment` is given to guests that are started.
 */
export function createQemuDriver(
  environment: NodeJS.ProcessEnv,
): FreezingDriver & ViewingDriver & HugePageDriver {
  const host = qemuHost(environment);
  const probed = new Map<string, Promise<Accelerator | Failure>>();
  const probe = (program: string, signal: AbortSignal): Promise<Accelerator | Failure> => {
    const known = probed.get(program) ?? probeQemu(program, environment, signal);
    probed.set(program, known);
    // An aborted probe says nothing.
    known.catch(() => probed.delete(program));
    return known;
  };
  const removeSockets = ({ name }: GuestDefinition): void => {
    if (!findQemuGuests(host).some(({ definition }) => definition.name === name))
      rmSync(runtimeDirectory(host, name), { recursive: true, force: true });
  };
  return {
    ...namesOf(qemuOutline),
    list: async () => findQemuGuests(host),
    usersBesides: async (guest, users) => {
      const own = processOf(guest)?.pid;
      const isOpenInGuest = users.some(({ pid }) => pid !== undefined && pid === own);
      // The kernel does not name the holder of QEMU's locks (fcntl(2), open file description locks), and no second QEMU can
      // have them.
      return users.filter(({ kind, pid }) =>
        pid === undefined ? kind !== 'lock' || !isOpenInGuest : pid !== own,
      );
    },
    async halt(guest, options, context) {
      await haltQemu(guest, options, context);
      removeSockets(guest.definition);
    },
    canRecord: ({ identity }) => Promise.resolve((findSockets(identity.pid ?? 0)?.qmp ?? []).length > 0),
    record: recordWrites,
    async haltRecorded(guest, recording, options, context) {
      let last: Recording | null = null;
      const patient = { ...context, signal: new AbortController().signal };
      const ask = async (qmp: Qmp) => {
        last = await recordWith(qmp, guest, recording, patient);
      };
      await haltQemu(guest, options, context, { ask, env: environment });
      removeSockets(guest.definition);
      return (last as Recording | null)?.written ?? null;
    },
    freeze: (guest, options, context) => freezeQemu(guest, options, environment, context),
    view: (guest, options, context) => viewQemu(guest, options, host, context),
    endRecordings,
    hugePages: (definition) => Promise.resolve(hugePagesOfGuest(definition)),
    complete: (definition) => Promise.resolve(completeQemu(definition)),
    async checkBootable(definition, { signal, report }, isVouchedFor = true, coming = []) {
      if (!isVouchedFor && definition.native !== undefined) return [strangeArguments(definition.name)];
      const { command, problems } = await checkQemu(definition, host, signal, isVouchedFor, coming);
      if (command === null) return problems;
      const found = await probe(command.program, signal);
      if (found instanceof Failure) return [...problems, found];
      if (found === 'tcg') {
        const model = needsKvm(command.args)
          ? ' Its processor is not this machine’s, but an emulated one.'
          : '';
        const message = `${definition.name} runs without hardware virtualization here: its processor is emulated, and many times slower.${model}`;
        report({ type: 'warning', code: 'not-accelerated', message });
      }
      return problems;
    },
    start: (definition, options, context) =>
      startQemu(definition, options, host, (program) => probe(program, context.signal), context),
    isolate: (...args) => Promise.resolve(isolateQemu(...args)),
  };
}

/** Arguments of QEMU can start programs (`script=`), and open any file. */
function strangeArguments(name: string): Failure {
  return new Failure(
    'guest-unsupported',
    `The arguments of ${name} come from an archive, or from a store that is not encrypted, so anybody may have written them. They are not given to QEMU.`,
    { advice: 'Restore or import its disks, and start the guest with arguments of your own.' },
  );
}

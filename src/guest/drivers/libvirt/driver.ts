import type { ArrivalDriver } from '../../preflight/arrival-driver.ts';
import type { FreezingDriver, HugePageDriver, KeepingDriver } from '../../guest-driver.ts';
import { isAlive } from '../../../system/proc-process.ts';
import { checkDomain, checkVouchedFor, tellOfArrival } from './check.ts';
import { hugePagesOfDomain } from './checks/huge-pages.ts';
import { completeDomain } from './complete.ts';
import { probeKvm, typeFor } from './domain-type.ts';
import { dropDomain, defineDomain, requireKnown, setAutostart } from './keep.ts';
import { fenceDomain, unfenceDomain } from './fence.ts';
import { findKept, findRunning } from './find.ts';
import { freezeDomain } from './freeze.ts';
import { haltDomain } from './halt.ts';
import { namesOf } from '../deferred-driver.ts';
import { libvirtHost } from './host.ts';
import { libvirtOutline } from './outline.ts';
import { runOf } from './identity.ts';
import { isolateDomain } from './isolate.ts';
import { startDomain } from './start.ts';
import { Virsh } from './virsh.ts';

/**
 * The domains of QEMU that libvirt keeps on this machine, reached by virsh. `environment` names the libvirt: the system's or an
 * account's own (https://libvirt.org/uri.html).
 */
export function createLibvirtDriver(
  environment: NodeJS.ProcessEnv,
): FreezingDriver & KeepingDriver & HugePageDriver & ArrivalDriver {
  const virsh = new Virsh(libvirtHost(environment));
  return {
    ...namesOf(libvirtOutline(environment)),
    list: ({ signal }) => findRunning(virsh, signal),
    listKept: ({ signal }) => findKept(virsh, signal),
    usersBesides: (guest, users) => {
      const { process } = runOf(guest);
      if (process === null || !isAlive(process)) return Promise.resolve(users);
      const isOwn = users.some(({ pid }) => pid === process.pid);
      // QEMU's locks belong to an open file, and the kernel names no process for them.
      return Promise.resolve(
        users.filter(
          ({ pid, kind }) => pid !== process.pid && !(isOwn && kind === 'lock' && pid === undefined),
        ),
      );
    },
    halt: (guest, options, context) => haltDomain(guest, options, virsh, context),
    freeze: (guest, options, context) => freezeDomain(guest, options, virsh, context),
    complete: (definition, context) => completeDomain(definition, context),
    checkBootable: async (definition, context, isVouchedFor = true, coming = []) => {
      const problems = await checkDomain(definition, virsh, context, coming);
      const strange = isVouchedFor ? [] : checkVouchedFor(definition);
      const kvm = problems.length + strange.length > 0 ? null : await probeKvm(definition, virsh, context);
      return [...problems, ...strange, ...(kvm === null ? [] : [kvm])];
    },
    start: async (definition, options, context) =>
      startDomain(definition, options, await typeFor(definition, virsh, context), virsh, context),
    isolate: (...args) => Promise.resolve(isolateDomain(...args)),
    hugePages: ({ native }) => Promise.resolve(native === undefined ? null : hugePagesOfDomain(native.text)),
    tellOfArrival: (definition, context) => Promise.resolve(tellOfArrival(definition, virsh, context)),
    keep: async (definition, context) => {
      const type = await typeFor(definition, virsh, context);
      const { uuid } = await defineDomain(definition, type, virsh, context);
      if (definition.autostart !== undefined)
        await setAutostart({ name: definition.name, uuid }, definition.autostart, virsh);
    },
    drop: (definition) => dropDomain(definition, virsh),
    setAutostart: async (definition, isOn) =>
      setAutostart(await requireKnown(definition, virsh), isOn, virsh),
    fence: (definition, context) => fenceDomain(definition, virsh, context),
    unfence: (definition, fence, context) => unfenceDomain(definition, fence, virsh, context),
  };
}

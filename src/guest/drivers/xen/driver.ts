import type { FreezingDriver, KeepingDriver, ProbingDriver } from '../../guest-driver.ts';
import { namesOf } from '../deferred-driver.ts';
import { checkXenBootable } from './check.ts';
import { completeXen } from './complete.ts';
import { findKeptGuests, findXenGuests } from './find.ts';
import { freezeXen } from './freeze.ts';
import { haltXen } from './halt.ts';
import { xenHost, type XenHost } from './host/host.ts';
import { isolateXen } from './isolate.ts';
import { xenOutline } from './outline.ts';
import { setXenAutostart } from './places/autostart.ts';
import { fenceXen, unfenceXen } from './places/fence.ts';
import { dropXen, keepXen } from './places/keep.ts';
import { probeXen, trialOf } from './boot-probe.ts';
import { startXen } from './start.ts';
import { uncheckedSettings } from './unchecked.ts';
import { usersBesidesDomain } from './users.ts';

/**
 * Xen: each guest is a domain. It is found, started and halted by `xl`, in the control domain, by root. Its configuration is a file
 * in /etc/xen, and xendomains starts what is in /etc/xen/auto.
 */
export function createXenDriver(
  environment: NodeJS.ProcessEnv,
  host: XenHost = xenHost(environment),
): FreezingDriver & KeepingDriver & ProbingDriver {
  return {
    ...namesOf(xenOutline(environment)),
    list: (context) => findXenGuests(host, context),
    usersBesides: (guest, users) =>
      usersBesidesDomain(guest, users, host, { signal: new AbortController().signal }),
    halt: (guest, options, context) => haltXen(guest, options, host, context),
    freeze: (guest, options, context) => freezeXen(guest, options, host, context),
    complete: (definition, context) => completeXen(definition, host, context),
    checkBootable: async (definition, context, isVouchedFor = true) =>
      checkXenBootable(await completeXen(definition, host, context), host, context, isVouchedFor),
    probe: async (definition, context) => {
      for (const message of uncheckedSettings(definition))
        context.report({ type: 'warning', code: 'other', message });
      const trial = trialOf(definition, host);
      return trial === null ? null : probeXen(trial, host, context);
    },
    start: (definition, options, context) => startXen(definition, options, host, context),
    isolate: (...args) => Promise.resolve(isolateXen(...args)),
    listKept: (context) => findKeptGuests(host, context),
    keep: (definition) => keepXen(host, definition),
    drop: (definition) => dropXen(host, definition.name),
    setAutostart: (definition, isOn) => setXenAutostart(host, definition.name, isOn),
    fence: (definition) => fenceXen(host, definition.name),
    unfence: (definition, fence) => unfenceXen(host, definition.name, fence),
  };
}

import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { findUsers, type ImageUser } from '../../../image/usage/usage.ts';
import { poll } from '../../../pipeline/polling.ts';
import { run } from '../../../system/processes.ts';
import type { HaltOptions, RunningGuest } from '../../guest-driver.ts';
import { servedDisks } from './host/devices.ts';
import { stateOf } from './host/domains.ts';
import { findProgram, type XenHost } from './host/host.ts';
import { domidOfRun } from './identity.ts';
import { complaintOf, xl } from './host/xl.ts';

const intervalMs = 250;
/** Xen takes a while to take a domain apart, and its scripts detach the loop devices afterwards. */
const destroyTimeoutMs = 60_000;
const releaseTimeoutMs = 30_000;

/**
 * Halts a guest, and returns when its domain is gone and its loop devices are detached. Xen asks the guest's own Xen driver, or
 * presses the power button of a guest that has none; a guest that does neither is destroyed only if asked for. Throws Failure
 * `halt-failed`; the guest then still runs. When aborted, it goes on until it is known whether the guest is gone.
 */
export async function haltXen(
  guest: RunningGuest,
  options: HaltOptions,
  host: XenHost,
  { signal }: Context,
): Promise<void> {
  const domid = domidOfRun(guest);
  if (domid === null || (await stateOf(host, domid, signal)) === null) return;
  signal.throwIfAborted();
  const loops = servedDisks(domid).flatMap(({ isLoop, deviceName }) =>
    isLoop && deviceName !== null ? [deviceName] : [],
  );
  const refusal = await shutDown(guest, domid, options, host, signal);
  if (refusal !== null) {
    if (!options.force) throw refusal;
    signal.throwIfAborted();
    await destroyDomain(host, domid, guest.definition.name, refusal);
  }
  await awaitDetached(guest, loops, host);
}

/** Null when the domain is gone; else Failure `halt-failed`. */
async function shutDown(
  { definition: { name } }: RunningGuest,
  domid: number,
  { timeoutMs }: HaltOptions,
  host: XenHost,
  signal: AbortSignal,
): Promise<Failure | null> {
  // Never aborted: after the order it must be known whether the guest went down.
  const patient = new AbortController().signal;
  const before = await stateOf(host, domid, signal);
  if (before === null) return null;
  if (before.state.includes('p'))
    return new Failure(
      'halt-failed',
      `The guest ${name} does not halt: it is paused, and a paused guest cannot shut down. It is left paused.`,
      { advice: `It still runs. If it is not paused on purpose, let it go on: xl unpause ${name}` },
    );
  const { exitStatus, ...said } = await xl(host, ['shutdown', '-F', String(domid)], patient);
  let isPreserved = false;
  const gone = await poll(
    async () => {
      const now = await stateOf(host, domid, patient);
      // With on_poweroff = "preserve" the domain stays after it has shut down.
      isPreserved = now !== null && now.state.includes('s') && !/[cd]/.test(now.state);
      return now === null || isPreserved;
    },
    { timeoutMs: exitStatus === 0 ? timeoutMs : 0, intervalMs, signal: patient },
  );
  if (isPreserved) {
    await destroyDomain(host, domid, name, null);
    return null;
  }
  if (gone !== null) return null;
  const tried =
    exitStatus === 0
      ? `it did not shut down within ${Math.round(timeoutMs / 1000)} s after Xen’s request`
      : `xl shutdown failed (${complaintOf({ exitStatus, ...said })})`;
  return new Failure('halt-failed', `The guest ${name} does not halt: ${tried}.`, {
    advice:
      'It still runs. Shut it down from inside, or give it more time. As a last resort, --force-halt destroys its domain: data that it has not written is then lost.',
  });
}

/**
 * Ends a domain without asking it. Throws Failure `halt-failed` when it stays.
 * @param limitMs for xl to answer, and then for the domain to go; a minute or two unless given
 */
export async function destroyDomain(
  host: XenHost,
  domid: number,
  name: string,
  cause: Failure | null,
  limitMs?: number,
): Promise<void> {
  const patient = new AbortController().signal;
  const result = await xl(host, ['destroy', String(domid)], patient, limitMs);
  const gone = await poll(async () => (await stateOf(host, domid, patient)) === null, {
    timeoutMs: limitMs ?? destroyTimeoutMs,
    intervalMs,
    signal: patient,
  });
  if (gone !== null) return;
  throw new Failure(
    'halt-failed',
    `${cause === null ? '' : `${cause.message} `}The domain of ${name} was destroyed, but is still there (${complaintOf(result)}).`,
    { cause },
  );
}

/**
 * Waits until Xen's script has detached the loop devices that were the guest's. libxl kills that script after 10 s, also where the
 * machine is only busy, and then nothing detaches them any more: so that is done here in the end.
 */
async function awaitDetached(
  { definition: { disks } }: RunningGuest,
  loops: readonly string[],
  host: XenHost,
): Promise<void> {
  if (loops.length === 0) return;
  const names = loops.map((loop) => `/dev/${loop}`);
  const { signal } = new AbortController();
  let attached: readonly ImageUser[] = [];
  const isDetached = await poll(
    async () => {
      const users = (await Promise.all(disks.map(({ path }) => findUsers(path)))).flat();
      attached = users.filter(({ kind, name }) => kind === 'loop-device' && names.includes(name));
      return attached.length === 0;
    },
    { timeoutMs: releaseTimeoutMs, intervalMs, signal },
  );
  const losetup = findProgram(host, 'losetup');
  if (isDetached !== null || losetup === null) return;
  for (const { name } of attached)
    await run(losetup, ['--detach', name], { env: host.environment, timeoutMs: destroyTimeoutMs });
}

import { stat } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { pause } from '../../../pipeline/polling.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { FreezeOptions, FrozenGuest, RunningGuest } from '../../guest-driver.ts';
import type { UmlHost } from './host.ts';
import { processOf } from '../process-identity.ts';
import { UmlStopper } from './stop.ts';
import { syncUml } from './mconsole/sync.ts';

/** A file's time of change is only as exact as the host's clock tick: 10 ms at most. */
const settleMs = 15;
const settleTimeoutMs = 10_000;

/**
 * Makes a User Mode Linux guest write out its memory, and stops it by its mconsole; see `FreezingDriver.freeze`. When it
 * returns, everything that the guest's kernel had given to its helper for input and output is in the images, too.
 */
export async function freezeUml(
  guest: RunningGuest,
  options: FreezeOptions,
  host: UmlHost,
  { signal }: Context,
): Promise<FrozenGuest> {
  const { definition } = guest;
  const { name } = definition;
  const kernel = processOf(guest);
  if (kernel === null) throw cannotStop(name, 'it no longer runs');
  const stopper = await UmlStopper.take(name, kernel, host, signal);
  let released: Promise<number> | null = null;
  const letGo = () => (released ??= stopper.release());
  try {
    // A question can hang a guest that something else has stopped. Stopping it first fails for such a guest, so it is
    // not asked.
    await stop(name, stopper, signal);
    await stopper.go();
    const notSynced = await syncUml(stopper.mconsole, options.syncTimeoutMs, signal);
    await stop(name, stopper, signal);
    const { stoppedAt } = stopper;
    await awaitSettled(definition, signal);
    return { stoppedAt, notSynced, letGo, [Symbol.asyncDispose]: async () => void (await letGo()) };
  } catch (error) {
    await letGo();
    throw error;
  }
}

async function stop(name: string, stopper: UmlStopper, signal: AbortSignal): Promise<void> {
  switch (await stopper.stop(signal)) {
    case 'stopped':
      return;
    case 'stopped-already':
      throw new Failure('guest-unsupported', `The guest ${name} is stopped already, by something else.`, {
        advice: `If that is not on purpose, let it go on: uml_mconsole ${name} go`,
      });
    case 'no-answer':
      throw cannotStop(name, 'its management console does not answer');
  }
}

/** Waits until the images have not changed for so long that another write would change their times. */
async function awaitSettled({ name, disks }: GuestDefinition, signal: AbortSignal): Promise<void> {
  const look = () => Promise.all(disks.map(async ({ path }) => (await stat(path)).mtimeMs));
  const deadlineMs = performance.now() + settleTimeoutMs;
  let before = await look();
  while (before.some((changedMs) => Date.now() - changedMs < settleMs)) {
    await pause(settleMs, signal);
    const now = await look();
    // This also works if a clock was set back and the last change lies in the future.
    if (now.every((changedMs, index) => changedMs === before[index])) return;
    if (performance.now() > deadlineMs) throw cannotStop(name, 'its images change although it was stopped');
    before = now;
  }
}

function cannotStop(name: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The guest ${name} cannot be frozen: ${reason}.`, {
    advice: 'Use --halt: the guest is then halted, backed up and started again.',
  });
}

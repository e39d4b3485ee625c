import type { Context } from '../../../events.ts';
import type { FreezeOptions, FrozenGuest, RunningGuest } from '../../guest-driver.ts';
import { processOf } from '../process-identity.ts';
import { openSession } from './running/session.ts';
import { cannotStop, Standstill } from './running/standstill.ts';

/** See `FreezingDriver.freeze`. A stopped QEMU has written out what its guest had given to it (do_vm_stop in softmmu/cpus.c). */
export async function freezeQemu(
  guest: RunningGuest,
  options: FreezeOptions,
  env: NodeJS.ProcessEnv,
  { signal }: Context,
): Promise<FrozenGuest> {
  const { name } = guest.definition;
  if (processOf(guest) === null) throw cannotStop(name, 'it no longer runs');
  const session = await openSession(guest);
  if (typeof session === 'string') throw cannotStop(name, session);
  try {
    const standstill = await Standstill.begin(name, session, options, env, signal);
    const { stoppedAt, notSynced } = standstill;
    let ended: Promise<number> | null = null;
    const goOnAndLeave = async (): Promise<number> => {
      try {
        return await standstill.goOn();
      } finally {
        await session[Symbol.asyncDispose]();
      }
    };
    const letGo = (): Promise<number> => (ended ??= goOnAndLeave());
    return { stoppedAt, notSynced, letGo, [Symbol.asyncDispose]: async () => void (await letGo()) };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

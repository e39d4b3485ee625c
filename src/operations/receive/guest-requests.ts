import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import { parseGuestDefinition, type GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver, GuestIdentity } from '../../guest/guest-driver.ts';
import { raiseFence } from '../../guest/hypervisor-fence.ts';
import type { RecordStore } from '../../guest/record-store.ts';
import { surveyRunning } from '../../guest/survey-guests.ts';
import { here, placed, vmferry } from '../../placed-text.ts';
import type { MoverMessage, ReceiverMessage } from '../../wire/messages.ts';
import { forgetAgain, keepGuest, type KeptHere } from './keep-guest.ts';

export interface GuestsHere {
  drivers: readonly GuestDriver[];
  records: RecordStore;
  /** The file that the console of this guest is written to. */
  consoleLogOf: (guest: string) => string;
}

type Asked<Type extends MoverMessage['type']> = Extract<MoverMessage, { type: Type }>;
type Answer<Type extends ReceiverMessage['type']> = Extract<ReceiverMessage, { type: Type }>;

/**
 * Starts the guest, and waits until it is up. Throws Failure `boot-failed` if no process of it is left, `outcome-unknown` if one may be: its record
 * stays then.
 */
export async function bootGuest(
  { guest: json, sources, timeoutMs }: Asked<'boot'>,
  guests: GuestsHere,
  context: Context,
): Promise<Omit<Answer<'up'>, 'warnings'>> {
  const guest = parseGuestDefinition(json);
  const { records, consoleLogOf } = guests;
  const consoleLog = consoleLogOf(guest.name);
  const earlier = await records.read(guest.name);
  let identity: GuestIdentity;
  let kept: KeptHere | null = null;
  try {
    // Written before the boot. A failure after it would make the old hardware start the guest, too.
    await records.write({ definition: guest, state: 'running', sources });
    kept = await keepGuest(guest, earlier, guests, context);
    ({ identity } = await driverOf(guest, guests).start(guest, { consoleLog, timeoutMs }, context));
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'outcome-unknown') throw failure;
    await forgetAgain(kept, context);
    await (earlier === null ? records.remove(guest.name) : records.write({ sources: [], ...earlier })).catch(
      () => undefined,
    );
    const { message, advice } = failure.placed;
    throw new Failure('boot-failed', placed`The guest did not boot ${here}: ${message}`, {
      advice,
      cause: error,
    });
  }
  return { type: 'up', pid: identity.pid ?? null, consoleLog };
}

/** Whether that guest runs on this machine. Throws if a hypervisor that could not be asked may hide it. */
export async function lookForGuest(
  name: string,
  { drivers }: GuestsHere,
  context: Context,
): Promise<Answer<'seen'>> {
  const { running, failures } = await surveyRunning(drivers, context);
  const isRunning = running.some(({ definition }) => definition.name === name);
  if (!isRunning) for (const { failure } of failures) throw failure;
  return { type: 'seen', isRunning };
}

/** Halts the guest, if it runs, and fences it. Throws Failure `guest-fenced` if it was moved on, and as `lookForGuest` does. */
export async function haltGuest(
  { name, force, timeoutMs, destination }: Asked<'halt'>,
  guests: GuestsHere,
  context: Context,
): Promise<Answer<'halted'>> {
  const { drivers, records } = guests;
  const record = await records.read(name);
  // The guest was moved on from here, and may run elsewhere.
  if (record?.move !== undefined && record.move.remoteCommand !== null) {
    const { destination: next } = record.move;
    throw new Failure('guest-fenced', placed`${name} is no longer ${here}: it was moved on to ${next}.`, {
      advice: placed`First take that move back: ${vmferry('revert', name)}`,
    });
  }
  const { running, failures } = await surveyRunning(drivers, context);
  const found = running.filter(({ definition }) => definition.name === name);
  // One that could not be asked may run it.
  if (found.length === 0) for (const { failure } of failures) throw failure;
  for (const guest of found)
    await driverOf(guest.definition, { drivers }).halt(guest, { force, timeoutMs }, context);
  if (record !== null) {
    const move = { destination, directory: null, sshConfigFile: null, remoteCommand: null };
    const { definition } = record;
    await raiseFence({ definition, state: 'moved', move }, guests, context);
  }
  return { type: 'halted', wasRunning: found.length > 0 };
}

function driverOf(guest: GuestDefinition, { drivers }: Pick<GuestsHere, 'drivers'>): GuestDriver {
  const driver = drivers.find(({ kind }) => kind === guest.driver);
  if (driver === undefined)
    throw new Failure('hypervisor-missing', `This vmferry cannot boot ${guest.driver} guests.`);
  return driver;
}

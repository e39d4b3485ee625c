import type { Context } from '../../events.ts';
import { setAutostart, type AutostartReport, type AutostartRequest } from '../autostart/autostart.ts';
import type { ScheduleWorld } from '../schedule/units.ts';
import { asFailure, toFailureRecord, type Failure, type FailureRecord } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { surveyGuests, type GuestSurvey } from '../../guest/survey-guests.ts';
import { haltGuest, type HaltReport, type HaltRequest } from './halt-guest.ts';
import { startGuest, type StartReport, type StartRequest } from './start-guest.ts';

export interface SeveralReport<Type extends string, Report> {
  type: Type;
  /** In the order in which it was done. */
  guests: readonly Report[];
  failed: readonly ({ guest: string } & FailureRecord)[];
}

export type SeveralHaltedReport = SeveralReport<'guests-halted', HaltReport>;
export type SeveralAutostartReport = SeveralReport<'guests-autostart', AutostartReport>;
export type SeveralStartedReport = SeveralReport<'guests-started', StartReport>;

/** Null: all guests. */
type Guests = readonly string[] | null;

/**
 * Halts guests one after the other, each only when the one before it is down. All are halted in the reverse order of a start.
 * A failure does not keep the others from being halted.
 */
export async function haltGuests(
  guests: Guests,
  request: Omit<HaltRequest, 'guest'>,
  dependencies: GuestDependencies,
  context: Context,
): Promise<SeveralHaltedReport> {
  const wanted = guests === null ? await runningGuests(dependencies, context) : named(guests);
  const halt = (guest: string) => haltGuest({ ...request, guest }, dependencies, context);
  return { type: 'guests-halted', ...(await oneAfterTheOther(wanted, halt, 'halted', context)) };
}

/** The same for starting. All: the guests that ran when vmferry last saw them, and those that it halted. */
export async function startGuests(
  guests: Guests,
  request: Omit<StartRequest, 'guest'>,
  dependencies: GuestDependencies,
  context: Context,
): Promise<SeveralStartedReport> {
  const wanted = guests === null ? await haltedGuests(dependencies, context) : named(guests);
  const start = (guest: string) => startGuest({ ...request, guest }, dependencies, context);
  return { type: 'guests-started', ...(await oneAfterTheOther(wanted, start, 'started', context)) };
}

/**
 * Sets for guests, in this order, whether they start with the machine: each one's unit is started after those before it, and stopped before them. What a
 * hypervisor starts itself has no place in that order.
 */
export async function setAutostarts(
  guests: readonly string[],
  request: Omit<AutostartRequest, 'guest' | 'after'>,
  dependencies: GuestDependencies,
  world: ScheduleWorld,
  context: Context,
): Promise<SeveralAutostartReport> {
  const units: string[] = [];
  const set = async (guest: string) => {
    const report = await setAutostart({ ...request, guest, after: [...units] }, dependencies, world, context);
    const { unit, driver } = report;
    if (unit !== null) units.push(unit);
    else if (request.isOn) {
      const message = `${guest} is started by ${driver} itself: the other guests do not wait for it, nor it for them.`;
      context.report({ type: 'warning', code: 'other', message });
    }
    return report;
  };
  const done = request.isOn ? 'set to start with the machine' : 'kept from starting with the machine';
  return { type: 'guests-autostart', ...(await oneAfterTheOther(named(guests), set, done, context)) };
}

interface Wanted {
  names: readonly string[];
  /** Hypervisors that could not be asked for their guests: `libvirt`. */
  silent: GuestSurvey['failures'];
}

function named(names: readonly string[]): Wanted {
  return { names, silent: [] };
}

async function oneAfterTheOther<Report>(
  { names, silent }: Wanted,
  act: (name: string) => Promise<Report>,
  done: string,
  context: Context,
): Promise<{ guests: Report[]; failed: ({ guest: string } & FailureRecord)[] }> {
  const guests: Report[] = [];
  const failed: { guest: string; failure: Failure }[] = [];
  const note = (guest: string, failure: Failure, what: string) => {
    failed.push({ guest, failure });
    const advice = failure.advice === undefined ? '' : ` ${failure.advice}`;
    const message = `${what} not ${done}: ${failure.message}${advice}`;
    context.report({ type: 'warning', code: 'other', message });
  };
  for (const { driver, failure } of silent) note(`${driver}:`, failure, `The guests of ${driver} are`);
  for (const guest of names)
    try {
      guests.push(await act(guest));
    } catch (error) {
      context.signal.throwIfAborted();
      note(guest, asFailure(error), `${guest} is`);
    }
  return { guests, failed: failed.map(({ guest, failure }) => ({ guest, ...toFailureRecord(failure) })) };
}

async function runningGuests({ drivers }: GuestDependencies, context: Context): Promise<Wanted> {
  const { running, failures } = await surveyGuests(drivers, context);
  return { names: inOrder(running).toReversed(), silent: failures };
}

async function haltedGuests({ drivers, records }: GuestDependencies, context: Context): Promise<Wanted> {
  const { running, failures } = await surveyGuests(drivers, context);
  const unknown = failures.map(({ driver }) => driver);
  const keys = new Set(running.map(({ definition }) => keyOf(definition)));
  const down = (await records.list()).filter(
    ({ state, definition }) =>
      (state === 'halted' || state === 'running') &&
      !keys.has(keyOf(definition)) &&
      !unknown.includes(definition.driver),
  );
  return { names: inOrder(down), silent: failures };
}

/** By name: `01-database` before `02-web`. A name that several guests have is given with the hypervisor. */
function inOrder(guests: readonly { definition: GuestDefinition }[]): string[] {
  const names = guests.map(({ definition }) => definition.name);
  const isShared = (name: string) => names.indexOf(name) !== names.lastIndexOf(name);
  return guests
    .toSorted(({ definition: one }, { definition: other }) =>
      one.name.localeCompare(other.name, 'en', { numeric: true }),
    )
    .map(({ definition }) => (isShared(definition.name) ? keyOf(definition) : definition.name));
}

function keyOf({ driver, name }: GuestDefinition): string {
  return `${driver}:${name}`;
}

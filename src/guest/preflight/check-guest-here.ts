import type { Context, Event } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isArrivalDriver } from './arrival-driver.ts';
import type { DriverKind, GuestDefinition } from '../definition.ts';
import { isHugePageDriver, isKernelDriver, isProbingDriver } from '../guest-driver.ts';
import type { GuestSources } from '../known-definitions.ts';
import type { RecordStore } from '../record-store.ts';
import { surveyGuests, type GuestSurvey } from '../survey-guests.ts';
import { checkFiles } from './check-files.ts';
import { checkKernel, kernelFactsOf, type KernelNeeds } from './check-kernel.ts';
import { checkHugePages, checkMemory } from './check-memory.ts';
import { checkNetwork } from './check-network.ts';
import { checkEarlierStates } from './earlier-states.ts';
import { checkUnique, type KnownGuest } from './check-unique.ts';

export interface ComingGuest {
  definition: GuestDefinition;
  /** It comes from this very machine: the guest of the same name is itself. */
  isFromHere: boolean;
  /** Its disks may replace those of guests that do not run. */
  mayOverwrite: boolean;
  /** Anybody may have written the definition; see `GuestDriver.checkBootable`. */
  isForeign: boolean;
  /** Absent: unknown. */
  needs?: KernelNeeds;
  /** Files that the definition names, and that will be made of its disks; none unless given. */
  files?: readonly string[];
  /** Memory that other guests take before it comes; none unless given. */
  besidesBytes?: number;
}

/**
 * Everything that keeps this machine from running a guest that comes to it, whatever its hypervisor: what the driver finds, and
 * what only a look at all hypervisors shows. Changes nothing.
 * @param told what was found before; it is not said again
 */
export async function checkGuestHere(
  { definition: guest, isFromHere, isForeign, mayOverwrite, needs, files = [], besidesBytes }: ComingGuest,
  { drivers, records }: GuestSources,
  told: readonly Failure[],
  context: Context,
): Promise<Failure[]> {
  const driver = drivers.find(({ kind }) => kind === guest.driver);
  if (driver === undefined)
    return [new Failure('hypervisor-missing', `This vmferry cannot boot ${guest.driver} guests.`)];
  const definition = await driver.complete(guest, context);
  const survey = await surveyGuests(drivers, context);
  const known = await knownGuests(guest.name, survey, records);
  const isVouchedFor = !isForeign || known.some((other) => other.definition.kernel === guest.kernel);
  const found = await driver.checkBootable(definition, context, isVouchedFor, files);
  for (const { driver: silent } of survey.failures)
    if (silent !== guest.driver) context.report(cannotCompare(guest.name, silent));
  // A kernel that may be anybody's is not started for it.
  const isKernelKnown = isVouchedFor || found.length === 0;
  const facts =
    isKernelDriver(driver) && isKernelKnown
      ? await driver.kernelFacts(definition, context)
      : kernelFactsOf(definition);
  const hugePages = isHugePageDriver(driver) ? await driver.hugePages(definition) : null;
  if (!isFromHere && isArrivalDriver(driver)) await driver.tellOfArrival(definition, context);
  const others = known.filter((other) => !isFromHere || other.definition.name !== guest.name);
  const more = [
    ...checkFiles(definition, files),
    ...checkNetwork(definition),
    ...(needs === undefined ? [] : checkKernel(definition, needs, facts, context)),
    // Its memory is in use as long as it runs here.
    ...(isFromHere
      ? []
      : hugePages === null
        ? checkMemory(definition, besidesBytes)
        : checkHugePages(definition, hugePages)),
    ...(await checkUnique(definition, others, mayOverwrite)),
    ...(isFromHere ? [] : checkEarlierStates(guest.name, survey.kept)),
  ];
  const problems = [...found, ...more.filter((problem) => !isToldBy([...told, ...found], problem))];
  // Seconds are spent only on a guest that could come. A kernel that may be anybody's is not started, even as a test.
  const isHopeless = problems.length > 0 || told.length > 0;
  if (isHopeless || !isVouchedFor || !isProbingDriver(driver)) return problems;
  const problem = await driver.probe(definition, context);
  return problem === null ? [] : [problem];
}

/** The new guest's own hypervisor is needed; another one may be broken. */
function cannotCompare(guest: string, silent: DriverKind): Event {
  const message = `${silent} does not answer. Whether one of its guests has the name, an address or a disk of ${guest} is not known.`;
  return { type: 'warning', code: 'hypervisor-silent', message };
}

/** Whether a driver has found the same. Its words are better: it knows its hypervisor. */
function isToldBy(found: readonly Failure[], { code, message }: Failure): boolean {
  const values =
    message.match(/\/[^\s,]+|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|[0-9a-f-]{36}|(?<=bridge |device |named )\S+/g) ??
    [];
  return found.some(
    (one) =>
      (one.code === code && values.length === 0) || values.some((value) => one.message.includes(value)),
  );
}

async function knownGuests(
  own: string,
  { running, kept }: Pick<GuestSurvey, 'running' | 'kept'>,
  records: RecordStore,
): Promise<KnownGuest[]> {
  const known: KnownGuest[] = [
    ...running.map(({ definition }) => ({ definition, state: 'running' as const })),
    // A guest that was moved away keeps its addresses, and does not use them.
    ...kept
      .filter(({ unsupported }) => unsupported?.code !== 'guest-fenced')
      .map(({ definition }) => ({ definition, state: 'kept' as const })),
  ];
  const names = [own, ...known.map(({ definition }) => definition.name)];
  const remembered = (await records.list()).filter(
    ({ state, definition }) =>
      (state === 'halted' || state === 'running') && !names.includes(definition.name),
  );
  return [...known, ...remembered.map(({ definition }) => ({ definition, state: 'remembered' as const }))];
}

import { existsSync } from 'node:fs';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { ImageFormat } from '../image/formats/image-format.ts';
import { here, placed } from '../placed-text.ts';
import { isImageOnly, type DriverKind, type GuestDefinition } from './definition.ts';
import type { EarlierStates, GuestDriver, RunningGuest } from './guest-driver.ts';
import type { ArchivedGuest } from './guest-source.ts';
import { fenceOf, type GuestRecord } from './guest-record.ts';
import { knownDefinitions, type GuestSources } from './known-definitions.ts';
import { surveyGuests, surveyRunning, type GuestSurvey } from './survey-guests.ts';
import { offlineDefinition } from './offline-definition.ts';

/** The guest or image that a person named, in its present state on this machine. */
export interface ResolvedGuest {
  definition: GuestDefinition;
  /** Null when it does not run here. */
  running: RunningGuest | null;
  /** What this machine remembers of it; null for an image, and for a guest that vmferry has not dealt with yet. */
  record: GuestRecord | null;
  /** Absent if there are none. */
  earlierStates?: EarlierStates;
  /** Only of a guest that was unpacked: its disks here are temporary. */
  archived?: ArchivedGuest;
}

/** Whether this machine remembers it, and could start it: it is neither an image that no guest uses, nor of an archive. */
export function isOfThisMachine({
  definition,
  archived,
}: Pick<ResolvedGuest, 'definition' | 'archived'>): boolean {
  return !isImageOnly(definition) && archived === undefined;
}

/**
 * Finds a guest that runs, that is remembered, or that its hypervisor keeps; or, for a path, an image that no guest uses. A text
 * with a slash is a path. Without one it is a guest's name, also with its hypervisor (`xen:web`), or else a file's name. Throws
 * Failure `guest-not-found`, `guest-fenced` (it was moved away), `guest-unsupported`, also if several guests have the name.
 * @param imageFormat of an image; by its name unless given
 */
export async function resolveGuest(
  name: string,
  sources: GuestSources,
  context: Context,
  imageFormat?: ImageFormat,
): Promise<ResolvedGuest> {
  if (name.includes('/')) return imageAt(name, imageFormat);
  const found = await findGuest(name, sources, context);
  if (found !== null) return found;
  if (existsSync(name)) return imageAt(name, imageFormat);
  throw await notFound(name, sources, context);
}

/** The same for a guest alone; null when there is none. A hypervisor that fails hides no guest of another. */
export async function findGuest(
  name: string,
  { drivers, records }: GuestSources,
  context: Context,
): Promise<ResolvedGuest | null> {
  const wanted = readName(name, drivers);
  const survey = await surveyGuests(drivers, context);
  const running = theOnly(survey.running.filter(wanted.fits), wanted.name);
  if (running?.unsupported !== undefined) throw running.unsupported;
  const record = await records.read(wanted.name);
  if (running !== null)
    return { definition: running.definition, running, record, ...earlierStatesOf(running) };
  const remembered = record !== null && wanted.fits(record) ? record : null;
  const fence = remembered?.state === 'moved' ? fenceOf(remembered) : null;
  if (fence !== null) throw fence;
  const kept = survey.kept.filter(wanted.fits);
  const others = kept.filter(({ definition }) => definition.driver !== remembered?.definition.driver);
  const only = theOnly(remembered === null ? kept : [remembered, ...others], wanted.name);
  const known = kept.find(({ definition }) => definition.driver === only?.definition.driver) ?? null;
  if (known?.unsupported !== undefined) throw known.unsupported;
  if (only !== null) {
    refuseSilent(survey, only.definition.driver);
    // A person may have changed what the hypervisor keeps.
    return { definition: (known ?? only).definition, running: null, record, ...earlierStatesOf(known) };
  }
  refuseUnknown(survey, wanted);
  return null;
}

function earlierStatesOf(
  guest: { earlierStates?: EarlierStates } | null,
): Pick<ResolvedGuest, 'earlierStates'> {
  return guest?.earlierStates === undefined ? {} : { earlierStates: guest.earlierStates };
}

/** The guest with that name that runs now; null when there is none. Throws the failure of a hypervisor that may hide it. */
export async function findRunningGuest(
  name: string,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<RunningGuest | null> {
  const wanted = readName(name, drivers);
  const survey = await surveyRunning(drivers, context);
  const guest = theOnly(survey.running.filter(wanted.fits), wanted.name);
  if (guest === null) refuseUnknown(survey, wanted);
  return guest;
}

interface WantedGuest {
  name: string;
  driver: DriverKind | null;
  fits: (guest: { definition: GuestDefinition }) => boolean;
}

function readName(text: string, drivers: readonly GuestDriver[]): WantedGuest {
  const [, kind, rest = ''] = /^([a-z]+):(.+)$/s.exec(text) ?? [];
  const driver = drivers.find((one) => one.kind === kind)?.kind ?? null;
  const name = driver === null ? text : rest;
  return {
    name,
    driver,
    fits: ({ definition }) => definition.name === name && (driver === null || definition.driver === driver),
  };
}

/** Null when there is none. Throws Failure `guest-unsupported` when there are several. */
function theOnly<T extends { definition: GuestDefinition }>(guests: readonly T[], name: string): T | null {
  const [first, second] = guests;
  if (first === undefined) return null;
  if (second === undefined) return first;
  const [one, other] = [first, second].map(({ definition }) => definition.driver);
  throw new Failure(
    'guest-unsupported',
    placed`There are several guests named ${name} ${here}: of ${one ?? ''} and of ${other ?? ''}.`,
    {
      advice: `Say which one: ${one}:${name} or ${other}:${name}`,
    },
  );
}

/** Throws the failure of this hypervisor if it could not be asked. */
function refuseSilent({ failures }: Pick<GuestSurvey, 'failures'>, driver: DriverKind): void {
  const silent = failures.find((one) => one.driver === driver);
  if (silent !== undefined) throw silent.failure;
}

/** A guest that was not found may be one of a hypervisor that could not be asked: then throws why. */
function refuseUnknown({ failures }: Pick<GuestSurvey, 'failures'>, { name, driver }: WantedGuest): void {
  const silent = failures.find((one) => driver === null || one.driver === driver);
  if (silent === undefined) return;
  const { code, placed: said } = silent.failure;
  const message = placed`Whether ${silent.driver} has a guest named ${name} ${here} is not known. ${said.message}`;
  const advice = [
    said.advice ?? [],
    existsSync(name) ? `To name the image, give its path: ./${name}` : [],
  ].flat();
  throw new Failure(code, message, {
    ...(advice.length > 0 && { advice: advice.reduce((first, next) => placed`${first} ${next}`) }),
    cause: silent.failure,
  });
}

function imageAt(path: string, format?: ImageFormat): ResolvedGuest {
  return { definition: offlineDefinition(path, format), running: null, record: null };
}

/** Failure `guest-not-found`, which lists the guests that are known. */
export async function notFound(name: string, sources: GuestSources, context: Context): Promise<Failure> {
  const definitions = await knownDefinitions(sources, context);
  const names = [...new Set(definitions.map((definition) => definition.name))].toSorted();
  const known = names.length === 0 ? 'No guest runs or is known here.' : `Known here: ${names.join(', ')}.`;
  return new Failure('guest-not-found', `There is no guest named ${name} here.`, {
    advice: `${known} Guests of other users are not visible. To name an image that no guest uses, give its path: ./${name}`,
  });
}

import { existsSync } from 'node:fs';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { ImageFormat } from '../image/formats/image-format.ts';
import type { GuestDefinition } from './definition.ts';
import type { GuestDriver, RunningGuest } from './guest-driver.ts';
import { fenceOf, type GuestRecord } from './guest-record.ts';
import { knownDefinitions, type GuestSources } from './known-definitions.ts';
import { offlineDefinition } from './offline-definition.ts';

/** The guest or image that a person named, in its present state on this machine. */
export interface ResolvedGuest {
  definition: GuestDefinition;
  /** Null when it does not run here. */
  running: RunningGuest | null;
  /** What this machine remembers of it; null for an image, and for a guest that vmferry has not dealt with yet. */
  record: GuestRecord | null;
}

/**
 * Finds a guest that runs, a guest that is remembered, or, for a path, an image that no guest uses. A text with a slash is
 * a path. Without one it is a guest's name, or else a file's name. Throws Failure `guest-not-found`,
 * `guest-fenced` (it was moved away), `guest-unsupported`.
 * @param imageFormat of an image; by its name unless given
 */
export async function resolveGuest(
  name: string,
  sources: GuestSources,
  context: Context,
  imageFormat?: ImageFormat,
): Promise<ResolvedGuest> {
  if (name.includes('/')) return imageAt(name, imageFormat);
  const running = await findRunningGuest(name, sources.drivers, context);
  if (running?.unsupported !== undefined) throw running.unsupported;
  const record = await sources.records.read(name);
  if (running !== null) return { definition: running.definition, running, record };
  if (record !== null) {
    const fence = record.state === 'moved' ? fenceOf(record) : null;
    if (fence !== null) throw fence;
    return { definition: record.definition, running: null, record };
  }
  if (existsSync(name)) return imageAt(name, imageFormat);
  throw await notFound(name, sources, context);
}

/** The guest with that name that runs now; null when there is none. */
export async function findRunningGuest(
  name: string,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<RunningGuest | null> {
  for (const driver of drivers) {
    const guest = (await driver.list(context)).find(({ definition }) => definition.name === name);
    if (guest !== undefined) return guest;
  }
  return null;
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

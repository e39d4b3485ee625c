import { lstatSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import {
  guestOfUnit,
  guestUnitName,
  guestUnitText,
  targetOf,
  type GuestUnit,
} from '../../schedule/guest-unit.ts';
import { errorCode } from '../../system/error-code.ts';
import { replaceFile } from '../../system/replace-file.ts';
import { askSystemctl } from '../schedule/systemd-programs.ts';
import { scheduleWorld, type ScheduleWorld } from '../schedule/units.ts';

/** The unit of a guest on the disk. */
export interface UnitPlace {
  unit: string;
  path: string;
  /** The link that enables it. */
  link: string;
}

/** Null if the guest's name is too long for a unit. */
export function unitPlace(guestName: string, isSystem: boolean, directory: string): UnitPlace | null {
  const unit = guestUnitName(guestName);
  return unit === null ? null : placeOfUnit(unit, isSystem, directory);
}

export function placeOfUnit(unit: string, isSystem: boolean, directory: string): UnitPlace {
  const link = join(directory, `${targetOf({ isSystem })}.wants`, unit);
  return { unit, path: join(directory, unit), link };
}

/** The manager still has the unit until it is told to reload. Throws Node's own error. */
export async function removeUnitFiles({ link, path }: Pick<UnitPlace, 'link' | 'path'>): Promise<void> {
  for (const one of [link, path]) await rm(one, { force: true });
}

/** The guest, `uml:web`, that the unit file is for. Null without a file. Throws Failure `target-exists` if vmferry did not write it. */
export function guestOfUnitAt({ path }: UnitPlace): string | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw notPermitted(path, error);
  }
  const guest = guestOfUnit(text);
  if (guest !== null) return guest;
  throw new Failure('target-exists', `${path} was not written by vmferry and is not changed.`, {
    advice: 'Move it away, or keep it and do without vmferry autostart.',
  });
}

/**
 * Writes the unit and enables it. It is not started. Throws Failure `not-permitted`, and what `guestOfUnitAt` throws; then
 * nothing of a new unit is left.
 */
export async function enableUnit(
  unit: GuestUnit,
  place: UnitPlace,
  world: ScheduleWorld,
  context: Context,
): Promise<void> {
  const text = guestUnitText(unit);
  if (text === null)
    throw new Failure('usage', 'A path or a variable has a character that a unit file cannot contain.', {
      advice: 'Name the file or directory by a symbolic link without such a character.',
    });
  const before = guestOfUnitAt(place);
  if (before !== null && before !== unit.guest)
    throw new Failure('target-exists', `${place.path} starts another guest: ${before}.`, {
      advice: `Only one guest of a name starts with the machine. To give up the other: vmferry autostart ${before} --off`,
    });
  try {
    await mkdir(dirname(place.path), { recursive: true });
    await replaceFile(place.path, text, 0o644);
  } catch (error) {
    throw notPermitted(place.path, error);
  }
  const ask = (...words: string[]) => askSystemctl(words, unit.isSystem, world.environment, context);
  const problem = (await ask('daemon-reload')) ?? (await ask('enable', place.unit));
  if (problem === null) return;
  if (before === null) await rm(place.path, { force: true });
  throw new Failure('not-permitted', `The unit ${place.unit} could not be enabled. ${problem}`);
}

/** Removes the unit. A guest that runs in it runs on. Throws Failure `not-permitted`. */
export async function removeUnit(
  place: UnitPlace,
  isSystem: boolean,
  world: ScheduleWorld,
  context: Context,
): Promise<void> {
  const ask = async (...words: string[]) => {
    if (!world.isManagerRunning) return;
    const problem = await askSystemctl(words, isSystem, world.environment, context);
    if (problem !== null) context.report({ type: 'warning', code: 'other', message: problem });
  };
  await ask('disable', place.unit);
  try {
    await removeUnitFiles(place);
  } catch (error) {
    throw notPermitted(place.path, error);
  }
  await ask('daemon-reload');
}

function notPermitted(path: string, cause: unknown): Failure {
  return new Failure('not-permitted', `${dirname(path)} may not be changed: ${errorCode(cause)}.`, {
    advice: 'The system’s units belong to root. --user makes a unit of this account.',
    cause,
  });
}

/** Whether a unit of `vmferry autostart` starts the guest; null without such a unit. */
export function startedByUnit(
  { driver, name }: Pick<GuestDefinition, 'driver' | 'name'>,
  environment: NodeJS.ProcessEnv,
): boolean | null {
  const isEnabled = [true, false].map((isSystem) => {
    const place = unitPlace(name, isSystem, scheduleWorld(isSystem, environment).unitDirectory);
    if (place === null || !isUnitFor(place, `${driver}:${name}`)) return null;
    return lstatSync(place.link, { throwIfNoEntry: false }) !== undefined;
  });
  return isEnabled.find((one) => one === true) ?? isEnabled.find((one) => one === false) ?? null;
}

function isUnitFor(place: UnitPlace, guest: string): boolean {
  try {
    return guestOfUnitAt(place) === guest;
  } catch {
    // It cannot be read, or is somebody else's. The guest is still shown.
    return false;
  }
}

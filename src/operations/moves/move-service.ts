import { lstatSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isMoveUnit, MOVE_UNIT_VARIABLE, moveUnitName, moveUnitText } from '../../schedule/move-unit.ts';
import { errorCode } from '../../system/error-code.ts';
import { replaceFile } from '../../system/replace-file.ts';
import type { MigrateDependencies } from '../migrate/migrate-dependencies.ts';
import type { MigrateRequest } from '../migrate/migration-report.ts';
import { placeOfUnit, removeUnitFiles, type UnitPlace } from '../autostart/guest-units.ts';
import { giveUpCommand } from '../migrate/line/left-there.ts';
import { noteMoveToCome } from '../migrate/passes/claim-guest.ts';
import { preflight } from '../migrate/preflight.ts';
import { keptEnvironment } from '../schedule/kept-environment.ts';
import { askSystemctl } from '../schedule/systemd-programs.ts';
import type { ScheduleWorld } from '../schedule/units.ts';

/** A move that a service of this machine makes from now on. */
export interface MoveServiceReport {
  type: 'move-service';
  guest: string;
  destination: string;
  /** When the guest is halted (ISO 8601, UTC); null: when `vmferry cutover` is typed. */
  cutoverAt: string | null;
  /** The service's name. */
  unit: string;
  /** The unit file. */
  file: string;
  /** Whether it is a service of the system, not of this account. */
  isSystem: boolean;
  /** The command that removes what was copied, for the case that the move is given up. */
  giveUp: string;
}

/**
 * Checks a move as it would be checked, notes it in the guest's record, and has a service of systemd go on with it, also after a reboot. Throws what
 * the preflight finds, Failure `not-permitted` and `target-exists`; then nothing is left.
 */
export async function beginMoveService(
  request: MigrateRequest,
  isSystem: boolean,
  dependencies: MigrateDependencies,
  world: ScheduleWorld,
  context: Context,
): Promise<MoveServiceReport> {
  await using move = await preflight(request, dependencies, context);
  const { name, driver } = move.guest.definition;
  const { destination } = request.target;
  const drivers = dependencies.drivers.filter(({ kind }) => kind === driver);
  const environment = keptEnvironment(world.environment, drivers);
  const text = moveUnitText({ guest: name, destination, vmferry: world.vmferry, environment, isSystem });
  const unit = moveUnitName(name);
  if (text === null || unit === null)
    throw new Failure(
      'usage',
      'A name, a path or a variable has a character that a unit file cannot contain.',
      {
        advice: 'Leave out --service, and keep this command running.',
      },
    );
  const place = placeOfUnit(unit, isSystem, world.unitDirectory);
  const { path: file } = place;
  refuseStrange(file);
  const takeBack = await noteMoveToCome(move);
  try {
    await install(place, text, isSystem, world, context);
  } catch (error) {
    await takeBack();
    throw error;
  }
  const untilMs = request.hold?.untilMs ?? null;
  const finalPaths = move.places.map(({ path }) => path);
  return {
    type: 'move-service',
    guest: name,
    destination,
    cutoverAt: untilMs === null ? null : new Date(untilMs).toISOString(),
    unit,
    file,
    isSystem,
    giveUp: giveUpCommand(finalPaths, move.line.receiver.machine),
  };
}

/** Throws Failure `target-exists` for a unit file of somebody else. */
function refuseStrange(file: string): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw notPermitted(file, error);
  }
  if (isMoveUnit(text)) return;
  throw new Failure('target-exists', `${file} was not written by vmferry and is not changed.`, {
    advice: 'Move it away, or leave out --service.',
  });
}

async function install(
  place: UnitPlace,
  text: string,
  isSystem: boolean,
  world: ScheduleWorld,
  context: Context,
): Promise<void> {
  const { unit, path: file } = place;
  try {
    await mkdir(dirname(file), { recursive: true });
    await replaceFile(file, text, 0o644);
  } catch (error) {
    throw notPermitted(file, error);
  }
  try {
    const ask = (...words: string[]) => askSystemctl(words, isSystem, world.environment, context);
    const problem = (await ask('daemon-reload')) ?? (await ask('enable', '--now', unit));
    if (problem === null) return;
    throw new Failure('not-permitted', `The service ${unit} could not be started. ${problem}`, {
      advice: 'Leave out --service, and keep this command running.',
    });
  } catch (error) {
    // It may have been started, also by a systemctl that was interrupted, or be tried again.
    const patient = { ...context, signal: new AbortController().signal };
    await askSystemctl(['disable', '--now', unit], isSystem, world.environment, patient);
    await removeUnitFiles(place);
    await askSystemctl(['daemon-reload'], isSystem, world.environment, patient);
    throw error;
  }
}

/**
 * Called by a vmferry that such a service has started, when its part is done: removes the service, unless the move can still go on. Does nothing in any
 * other process.
 */
export async function endMoveService(
  guest: string,
  { records }: Pick<MigrateDependencies, 'records'>,
  worldOf: (isSystem: boolean) => ScheduleWorld,
  context: Context,
): Promise<void> {
  const unit = moveUnitName(guest);
  for (const isSystem of [true, false]) {
    const world = worldOf(isSystem);
    if (unit === null || world.environment[MOVE_UNIT_VARIABLE] !== unit) return;
    const place = placeOfUnit(unit, isSystem, world.unitDirectory);
    const { path: file } = place;
    if (lstatSync(file, { throwIfNoEntry: false }) === undefined) continue;
    if (await canGoOn(guest, records)) return;
    try {
      await removeUnitFiles(place);
    } catch (error) {
      const { message } = notPermitted(file, error);
      context.report({ type: 'warning', code: 'clean-up-incomplete', message });
      return;
    }
    if (world.isManagerRunning) await askSystemctl(['daemon-reload'], isSystem, world.environment, context);
    return;
  }
}

/** Also by another process than this one. */
async function canGoOn(guest: string, records: MigrateDependencies['records']): Promise<boolean> {
  const record = await records.read(guest).catch(() => 'unknown' as const);
  if (record === 'unknown') return true;
  return record !== null && (record.state === 'moving' || record.copying !== undefined);
}

function notPermitted(path: string, cause: unknown): Failure {
  return new Failure('not-permitted', `${dirname(path)} may not be changed: ${errorCode(cause)}.`, {
    advice: 'The system’s units belong to root.',
    cause,
  });
}

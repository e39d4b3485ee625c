import { readFileSync } from 'node:fs';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { DriverKind } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { isKeepingDriver, type RunningGuest } from '../../guest/guest-driver.ts';
import { fenceOf } from '../../guest/guest-record.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { findGuest, notFound, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { quoteForShell } from '../../quote-for-shell.ts';
import { cronLine } from '../../schedule/cron-line.ts';
import { guestCommands, type GuestUnit } from '../../schedule/guest-unit.ts';
import { keptEnvironment } from '../schedule/kept-environment.ts';
import { askSystemctl } from '../schedule/systemd-programs.ts';
import type { ScheduleWorld } from '../schedule/units.ts';
import { enableUnit, guestOfUnitAt, removeUnit, unitPlace, type UnitPlace } from './guest-units.ts';

export interface AutostartRequest {
  /** Its name, also with its hypervisor: `uml:web`. */
  guest: string;
  isOn: boolean;
  /** The unit is for the system's manager, not for this account's. */
  isSystem: boolean;
  bootTimeoutMs: number;
  haltTimeoutMs: number;
  /** The units of the guests that are started before it, and halted after it. */
  after: readonly string[];
}

export interface AutostartReport {
  type: 'autostart';
  guest: string;
  driver: DriverKind;
  /** Whether the guest now starts with the machine. */
  autostart: boolean;
  /** The systemd unit that was made or removed; null if the hypervisor starts the guest, or there was none. */
  unit: string | null;
  /** The unit's file; null with the unit. */
  file: string | null;
  isSystem: boolean;
}

/**
 * Sets whether a guest starts with the machine: in its hypervisor, or by a systemd unit where the hypervisor keeps no guests.
 * Throws Failure `guest-not-found`, `guest-fenced`, `program-missing` (no systemd), `target-exists`, `not-permitted`.
 */
export async function setAutostart(
  request: AutostartRequest,
  dependencies: GuestDependencies,
  world: ScheduleWorld,
  context: Context,
): Promise<AutostartReport> {
  const removed = request.isOn ? null : await removeUnitOf(request, world, context);
  if (removed !== null) return removed;
  const found = await findGuest(request.guest, dependencies, context);
  if (found === null) throw await notFound(request.guest, dependencies, context);
  const { definition, record } = found;
  const { name, driver: kind } = definition;
  const { isOn, isSystem } = request;
  const report = {
    type: 'autostart',
    guest: name,
    driver: kind,
    autostart: isOn,
    unit: null,
    file: null,
    isSystem,
  } as const;
  const fence = isOn && record !== null ? fenceOf(record) : null;
  if (fence !== null) throw fence;
  const driver = requireDriver(dependencies.drivers, kind);
  if (isKeepingDriver(driver)) {
    await driver.setAutostart(definition, isOn, context);
    return report;
  }
  if (!isOn) return report;
  const { unit, path: file } = await makeUnit(found, request, dependencies, world, context);
  return { ...report, unit, file };
}

/** Removes the guest's unit, also if the guest is not here any more. Null if there is none. */
async function removeUnitOf(
  { guest, isSystem }: AutostartRequest,
  world: ScheduleWorld,
  context: Context,
): Promise<AutostartReport | null> {
  for (const name of [guest, guest.replace(/^(?:uml|qemu):/, '')]) {
    const place = unitPlace(name, isSystem, world.unitDirectory);
    const owner = place === null ? null : guestOfUnitAt(place);
    const [, kind, ownName = ''] = /^(uml|qemu):(.+)$/s.exec(owner ?? '') ?? [];
    if (place === null || kind === undefined || (guest !== owner && guest !== ownName)) continue;
    await removeUnit(place, isSystem, world, context);
    const driver = kind as DriverKind;
    const { unit, path: file } = place;
    return { type: 'autostart', guest: ownName, driver, autostart: false, unit, file, isSystem };
  }
  return null;
}

async function makeUnit(
  { definition, running, record }: ResolvedGuest,
  { isSystem, bootTimeoutMs, haltTimeoutMs, after }: AutostartRequest,
  { drivers, records }: GuestDependencies,
  world: ScheduleWorld,
  context: Context,
): Promise<UnitPlace> {
  const { name } = definition;
  const place = unitPlace(name, isSystem, world.unitDirectory);
  if (place === null) throw new Failure('usage', `The name ${name} is too long for a systemd unit.`);
  // It belongs to a login, and is gone when the machine starts. An account's manager has its own.
  const { XDG_RUNTIME_DIR: _, ...environment } = keptEnvironment(world.environment, drivers);
  const unit: GuestUnit = {
    guest: `${definition.driver}:${name}`,
    vmferry: world.vmferry,
    environment,
    isSystem,
    bootTimeoutSeconds: bootTimeoutMs / 1000,
    haltTimeoutSeconds: haltTimeoutMs / 1000,
    after,
  };
  if (!world.isManagerRunning) throw noSystemd(name, unit);
  // A guest that is started with the machine is found by its record.
  const copying = record?.copying;
  if (running !== null) await records.write({ definition, state: 'running', ...(copying && { copying }) });
  await enableUnit(unit, place, world, context);
  if (running !== null) await takeOver(running, place, isSystem, world, context);
  return place;
}

/** Starts the unit of a guest that runs, so that a shutdown of the machine halts the guest already this time. */
async function takeOver(
  { definition: { name }, identity: { pid } }: RunningGuest,
  { unit }: UnitPlace,
  isSystem: boolean,
  world: ScheduleWorld,
  context: Context,
): Promise<void> {
  const warn = (message: string) => {
    context.report({ type: 'warning', code: 'other', message });
  };
  const problem = await askSystemctl(['start', unit], isSystem, world.environment, context);
  if (problem !== null) warn(problem);
  if (pid === undefined || isInUnit(pid, unit)) return;
  const systemctl = isSystem ? 'systemctl' : 'systemctl --user';
  warn(
    `${name} was not started by its unit. When the machine is shut down, systemd may end it with the login that started it, before it is halted cleanly. This halts it once and starts it in its unit: ${systemctl} restart ${quoteForShell(unit)}`,
  );
}

/** By its control group (cgroups(7)). */
function isInUnit(pid: number, unit: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${unit}`);
  } catch {
    // It has just ended.
    return true;
  }
}

function noSystemd(name: string, unit: GuestUnit): Failure {
  const { start, halt } = guestCommands(unit);
  const variables = Object.entries(unit.environment).flatMap(([variable, value]) =>
    variable === 'HOME' ? [] : [`${variable}=${value}`],
  );
  const env = variables.length === 0 ? [] : ['env', ...variables];
  const line = cronLine('@reboot', [[...env, ...start]]);
  const whose = unit.isSystem ? 'systemd does not run here' : 'No systemd runs for this account';
  return new Failure('program-missing', `${whose}, so that it cannot start ${name} with the machine.`, {
    advice: `${line === null ? 'Have' : `Put \`${line}\` into the crontab (crontab -e), and have`} the machine's shutdown run \`${[...env, ...halt].map(quoteForShell).join(' ')}\` first.`,
  });
}

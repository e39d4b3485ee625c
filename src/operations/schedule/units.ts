import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isUnitName, scheduledBy, subjectOf, type ScheduledRun } from '../../schedule/systemd-units.ts';
import { errorCode } from '../../system/error-code.ts';
import { replaceFile } from '../../system/replace-file.ts';
import { askSystemctl } from './systemd-programs.ts';

/** What a schedule needs to know about the machine. */
export interface ScheduleWorld {
  environment: NodeJS.ProcessEnv;
  userId: number;
  /** The command that starts this vmferry: node and its main file, as absolute paths. */
  vmferry: readonly string[];
  unitDirectory: string;
  /** Whether the manager that the units are for runs here. */
  isManagerRunning: boolean;
}

/** The units go to `/etc/systemd/system`, or for an account's own manager to `systemd/user` in its configuration. */
export function scheduleWorld(isSystem: boolean, environment: NodeJS.ProcessEnv): ScheduleWorld {
  const home = environment['HOME'] || homedir();
  const base = environment['XDG_CONFIG_HOME'];
  const configuration = base?.startsWith('/') ? base : join(home, '.config');
  const runtime = environment['XDG_RUNTIME_DIR'];
  return {
    environment: { ...environment, HOME: home },
    userId: process.getuid?.() ?? 0,
    vmferry: [process.execPath, process.argv[1] ?? ''],
    unitDirectory: isSystem ? '/etc/systemd/system' : join(configuration, 'systemd', 'user'),
    isManagerRunning: isSystem
      ? existsSync('/run/systemd/system')
      : Boolean(runtime) && existsSync(join(runtime ?? '', 'systemd')),
  };
}

/** Derives the units' name from the schedule's name. Throws Failure `usage`. */
export function unitOf(name: string): string {
  if (isUnitName(name)) return `vmferry-backup-${name}`;
  throw new Failure('usage', `A unit cannot have the name ${JSON.stringify(name)}.`, {
    advice: 'Choose a name of letters and digits, with . _ - inside: --name NAME',
  });
}

export interface UnitFile {
  path: string;
  text: string;
}

/**
 * Writes the unit files; true when they existed before. Throws Failure `not-permitted`, and `target-exists` for files that
 * vmferry did not write, or wrote for other guests or another store.
 */
export async function writeUnits(files: readonly UnitFile[], run: ScheduledRun): Promise<boolean> {
  let replaced = false;
  for (const { path } of files) {
    const text = await readIfThere(path);
    if (text === null) continue;
    if (writtenFor(path, text) !== subjectOf(run))
      throw new Failure(
        'target-exists',
        `${path} belongs to a schedule of other guests or of another store.`,
        {
          advice:
            'Give the new schedule another name with --name, or remove the old one: vmferry schedule --remove --name NAME',
        },
      );
    replaced = true;
  }
  try {
    for (const { path, text } of files) {
      await mkdir(dirname(path), { recursive: true });
      await replaceFile(path, text, 0o644);
    }
  } catch (error) {
    throw notPermitted(files[0]?.path ?? '', error);
  }
  return replaced;
}

function writtenFor(path: string, text: string): string {
  const subject = scheduledBy(text);
  if (subject !== null) return subject;
  throw new Failure('target-exists', `${path} was not written by vmferry and is not changed.`, {
    advice: 'Choose another name with --name.',
  });
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw notPermitted(path, error);
  }
}

function notPermitted(path: string, cause: unknown): Failure {
  return new Failure('not-permitted', `${dirname(path)} may not be changed: ${errorCode(cause)}.`, {
    advice:
      'The system’s units belong to root. --user makes a schedule of this account; --print only shows the units.',
    cause,
  });
}

/** Whether the timer is active now. If the manager does not run here, or refuses (with a warning), it is not. */
export async function enableTimer(
  { unit, isSystem }: Pick<ScheduledRun, 'unit' | 'isSystem'>,
  world: ScheduleWorld,
  context: Context,
): Promise<boolean> {
  if (!world.isManagerRunning) return false;
  return (
    (await systemctl(['daemon-reload'], isSystem, world, context)) &&
    (await systemctl(['enable', '--now', `${unit}.timer`], isSystem, world, context))
  );
}

async function systemctl(
  words: readonly string[],
  isSystem: boolean,
  { environment }: ScheduleWorld,
  context: Context,
): Promise<boolean> {
  const problem = await askSystemctl(words, isSystem, environment, context);
  if (problem !== null) context.report({ type: 'warning', code: 'other', message: problem });
  return problem === null;
}

export interface UnscheduleReport {
  type: 'unschedule';
  unit: string;
  removed: readonly string[];
}

/**
 * Removes a schedule: stops the timer, and removes the unit files that vmferry wrote. Throws Failure `target-missing` when
 * there is none, `target-exists` for files that vmferry did not write, and `not-permitted`.
 */
export async function removeSchedule(
  name: string,
  isSystem: boolean,
  world: ScheduleWorld,
  context: Context,
): Promise<UnscheduleReport> {
  const unit = unitOf(name);
  const paths = [`${unit}.timer`, `${unit}.service`].map((file) => join(world.unitDirectory, file));
  const removed: string[] = [];
  for (const path of paths) {
    const text = await readIfThere(path);
    if (text === null) continue;
    writtenFor(path, text);
    removed.push(path);
  }
  if (removed.length === 0)
    throw new Failure('target-missing', `There is no schedule ${paths[0]}.`, {
      advice:
        'See which schedules exist: systemctl list-timers --all "vmferry-*" (add --user for those of this account)',
    });
  if (world.isManagerRunning)
    await systemctl(['disable', '--now', `${unit}.timer`], isSystem, world, context);
  try {
    for (const path of removed) await rm(path);
  } catch (error) {
    throw notPermitted(removed[0] ?? '', error);
  }
  if (world.isManagerRunning) await systemctl(['daemon-reload'], isSystem, world, context);
  return { type: 'unschedule', unit, removed };
}

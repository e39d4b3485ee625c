import { mkdir } from 'node:fs/promises';
import type { Config } from '../../config/config.ts';
import { resolveStore } from '../../config/resolve-store.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { stateDirectory } from '../../guest/record-store.ts';
import type { GuestSources } from '../../guest/known-definitions.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { cronLine } from '../../schedule/cron-line.ts';
import { serviceText, timerText, type ScheduledRun } from '../../schedule/systemd-units.ts';
import { errorCode } from '../../system/error-code.ts';
import { warnOfImageOfGuest } from '../../guest/disks/image-of-guest.ts';
import { checkStoredName, refuseSameNames } from '../store-access/stored-names.ts';
import { checkSecretFile } from './secret.ts';
import { planRun, type ScheduleRequest } from './plan.ts';
import { checkedCalendar } from './time.ts';
import { enableTimer, writeUnits, type ScheduleWorld } from './units.ts';

export interface ScheduleReport {
  type: 'schedule';
  unit: string;
  /** The unit files and their content; empty for a crontab. */
  files: readonly { path: string; text: string }[];
  /** Null unless a crontab line was asked for. */
  cronLine: string | null;
  /** `printed`: nothing was written. `written`: the user has to enable it. `enabled`: it is active. */
  state: 'printed' | 'written' | 'enabled';
  isSystem: boolean;
  /** The same schedule was there before. */
  replaced: boolean;
  prunes: boolean;
}

/**
 * Writes or prints a systemd service and timer that back guests up regularly, or prints a line for a crontab.
 * Throws Failure `usage`, `target-exists` if the units exist for something else, `not-permitted`, and the
 * failures of a guest or of the passphrase file.
 */
export async function scheduleBackups(
  request: ScheduleRequest,
  config: Config,
  sources: GuestSources,
  world: ScheduleWorld,
  context: Context,
): Promise<ScheduleReport> {
  const calendar = await checkedCalendar(request.at, request.output === 'cron', context);
  const store = resolveStore(config, request.store);
  await checkSecretFile(request, store, world.environment, context);
  if (request.guestName !== null) checkStoredName(request.guestName);
  const guests: ResolvedGuest[] = [];
  for (const name of request.guests) {
    refuseSameNames(name, request.guests, 'Make a schedule for each, with --guest-name NAME.');
    const guest = await resolveGuest(name, sources, context, request.imageFormat);
    await warnOfImageOfGuest(guest, sources, context);
    guests.push(guest);
  }
  const run = planRun(request, {
    config,
    store,
    guests,
    calendar,
    world,
    drivers: sources.drivers,
  });
  const base = {
    type: 'schedule',
    unit: run.unit,
    isSystem: run.isSystem,
    prunes: run.commands.length > 1,
  } as const;

  if (request.output === 'cron') {
    const line = cronLine(calendar.cronFields ?? '', cronCommands(run));
    if (line === null) throw notWritable('a crontab');
    return { ...base, files: [], cronLine: line, state: 'printed', replaced: false };
  }
  const service = serviceText(run);
  if (service === null) throw notWritable('a unit file');
  const files = [
    { path: `${world.unitDirectory}/${run.unit}.service`, text: service },
    { path: `${world.unitDirectory}/${run.unit}.timer`, text: timerText(run) },
  ];
  if (request.output === 'print')
    return { ...base, files, cronLine: null, state: 'printed', replaced: false };
  const replaced = await writeUnits(files, run);
  await makeStateDirectory(world);
  const isEnabled = await enableTimer(run, world, context);
  return { ...base, files, cronLine: null, state: isEnabled ? 'enabled' : 'written', replaced };
}

/** The unit can give write access only to a directory that exists when the unit starts. */
async function makeStateDirectory({ environment, userId }: ScheduleWorld): Promise<void> {
  const directory = stateDirectory(environment, userId);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Failure('not-permitted', `${directory} cannot be created: ${errorCode(cause)}.`, { cause });
  }
}

/** Low priority, unless a guest would inherit it. --quiet prints only problems, because cron mails all output. */
function cronCommands({ commands, startsGuests, environment }: ScheduledRun): string[][] {
  const { HOME: _, ...variables } = environment;
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const before = [
    ...(assignments.length === 0 ? [] : ['env', ...assignments]),
    ...(startsGuests ? [] : ['nice', '-n', '10']),
  ];
  return commands.map((command) => [...before, ...command, '--quiet']);
}

function notWritable(what: string): Failure {
  return new Failure('usage', `A name or a path has a control character, which ${what} cannot contain.`, {
    advice: 'Rename the file or directory, or name it by a symbolic link without such a character.',
  });
}

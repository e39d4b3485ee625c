import { dirname, isAbsolute, resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { ResolvedStore } from '../../config/resolve-store.ts';
import { isImageOnly, type GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { stateDirectory } from '../../guest/record-store.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { backupCommands } from '../../schedule/backup-commands.ts';
import type { Calendar } from '../../schedule/calendar.ts';
import type { ScheduledRun } from '../../schedule/systemd-units.ts';
import { keepArguments, type KeepRules } from './keep-rules.ts';
import type { RunReportOptions } from '../reports/run-record.ts';
import { unitOf, type ScheduleWorld } from './units.ts';

export interface ScheduleRequest {
  /** Names, or paths of images; at least one. */
  guests: readonly string[];
  /** As a person names it; null: the configuration's default store. */
  store: string | null;
  /** As for `OnCalendar=` of systemd. */
  at: string;
  keep: KeepRules;
  /** Where an encrypted store's passphrase or key comes from. */
  passphrase: { file: string | null; command: string | null; keyFile: string | null };
  sshConfigFile: string | null;
  reports: RunReportOptions;
  /** What becomes of a guest that runs, should a clone of its images not be possible. */
  whileRunning: 'clone' | 'pause' | 'halt';
  /** See `StandstillOptions`; null: the default. */
  maxPauseMs: number | null;
  /** Whether a clone of each image stays beside it for the next backup (doc/second-pass.md). */
  keepClones: boolean;
  /** Of the units; null: after the guest. */
  name: string | null;
  /** Under which the store keeps the guest, where that is not its own; only where there is but one. */
  guestName: string | null;
  /** For the system's manager, else for this account's. */
  isSystem: boolean;
  /** `units` are written and enabled; of the others nothing is written. */
  output: 'units' | 'print' | 'cron';
}

/** What a request has been found to mean on this machine. */
export interface ScheduleFindings {
  config: Config;
  store: ResolvedStore;
  guests: readonly ResolvedGuest[];
  calendar: Calendar;
  world: ScheduleWorld;
  drivers: readonly GuestDriver[];
}

/** All that goes into the units. Throws Failure `usage` for a name that no unit can have. */
export function planRun(request: ScheduleRequest, findings: ScheduleFindings): ScheduledRun {
  const { config, store, guests, calendar, world, drivers } = findings;
  const { vmferry, environment } = world;
  const { isSystem, reports, whileRunning, maxPauseMs, keepClones, guestName } = request;
  const guestNames = guests.map(({ definition }) => guestName ?? definition.name);
  const typedGuests = guests.map(({ definition }, index) =>
    nameOrPath(definition, request.guests[index] ?? ''),
  );
  // What the configuration says of a store holds as it is when the backup runs.
  const typedStore = store.name === null ? withoutRelative(store.location) : `@${store.name}`;
  const { file, command, keyFile } = request.passphrase;
  const sshConfig = request.sshConfigFile && resolve(request.sshConfigFile);
  const keep = keepArguments(request.keep);
  // What a prune removes is to be read in the unit, wherever the rules are from.
  const keepOptions = keep.length > 0 ? keep : keepArguments(config.keep ?? {});
  const commands = backupCommands({
    vmferry,
    guests: typedGuests,
    guestNames,
    store: typedStore,
    backupOptions: [
      ...(whileRunning === 'clone' ? [] : [`--${whileRunning}`]),
      ...option('--max-pause', maxPauseMs === null ? null : String(maxPauseMs / 1000)),
      ...(keepClones ? [] : ['--no-clone']),
      ...option('--name', guestName),
    ],
    commonOptions: [
      ...option('--ping-url', reports.pingUrl),
      ...option('--metrics', reports.metricsFile),
      ...option('--passphrase-file', file && resolve(file)),
      ...option('--passphrase-command', command),
      ...option('--key-file', keyFile && resolve(keyFile)),
      ...option('--ssh-config', sshConfig),
    ],
    keepOptions: keepOptions.length > 0 ? keepOptions : null,
  });
  const metricsFile = reports.metricsFile ?? config.metricsFile;
  const localStore = isAbsolute(withoutRelative(store.location)) ? [withoutRelative(store.location)] : [];
  const writablePaths = [
    stateDirectory(environment, isSystem ? 0 : world.userId),
    ...localStore,
    ...(metricsFile === null ? [] : [dirname(metricsFile)]),
    ...guests.flatMap(({ definition }) => definition.disks.map(({ path }) => dirname(path))),
  ].filter((path) => !/^\/(?:dev|proc|sys)(?:\/|$)/.test(path));
  const kept = keptEnvironment(environment, drivers);
  return {
    unit: unitOf(request.name ?? guestNames.join('-')),
    guests: guestNames,
    sources: typedGuests,
    store: typedStore,
    onCalendar: calendar.onCalendar,
    spreadSeconds: calendar.spreadSeconds,
    commands,
    environment: kept,
    isSystem,
    isRemote: localStore.length === 0 || config.pingUrl !== null || reports.pingUrl !== null,
    startsGuests: whileRunning === 'halt',
    writablePaths: [...new Set(writablePaths)].toSorted((one, other) => (one < other ? -1 : 1)),
    needsTmp: [...vmferry, ...commands.flat(), ...writablePaths, ...Object.values(kept)].some((path) =>
      /^\/(?:var\/)?tmp(?:\/|$)/.test(path),
    ),
  };
}

/** Guests of that name may come to run elsewhere; an image has nothing but its path. */
function nameOrPath(definition: GuestDefinition, typed: string): string {
  return isImageOnly(definition) ? resolve(typed) : definition.name;
}

/** A directory; anything with a colon before the first slash is on another machine. */
function withoutRelative(location: string): string {
  return /^[^/.][^/]*:/.test(location) ? location : resolve(location);
}

function option(name: string, value: string | null): string[] {
  return value === null ? [] : [name, value];
}

/** The variables by which guests, records, the configuration and passphrases are found. A service has no HOME of its own. */
function keptEnvironment(
  environment: NodeJS.ProcessEnv,
  drivers: readonly GuestDriver[],
): Record<string, string> {
  const names = new Set(['HOME', ...drivers.flatMap((driver) => driver.environmentNames), ...ownVariables]);
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const value = environment[name];
      return value ? [[name, value]] : [];
    }),
  );
}

const ownVariables = [
  'VMFERRY_STATE_DIR',
  'VMFERRY_PASSPHRASE_FILE',
  'VMFERRY_PASSPHRASE_COMMAND',
  'XDG_STATE_HOME',
  'XDG_CONFIG_HOME',
] as const;

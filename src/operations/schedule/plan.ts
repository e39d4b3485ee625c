import { dirname, isAbsolute, resolve } from 'node:path';
import type { Config, KeepSettings } from '../../config/config.ts';
import type { ResolvedStore } from '../../config/resolve-store.ts';
import type { ImageFormat } from '../../image/formats/image-format.ts';
import { isImageOnly, type GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { stateDirectory } from '../../guest/record-store.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { backupCommands } from '../../schedule/backup-commands.ts';
import type { Calendar } from '../../schedule/calendar.ts';
import type { ScheduledRun } from '../../schedule/systemd-units.ts';
import type { RateLimit } from '../../rate-limit.ts';
import { keepArguments } from './keep-arguments.ts';
import { keptEnvironment, stateVariables } from './kept-environment.ts';
import type { RunReportOptions } from '../reports/run-record.ts';
import { unitOf, type ScheduleWorld } from './units.ts';

export interface ScheduleRequest {
  /** Names, or paths of images; at least one. */
  guests: readonly string[];
  /** As the user names it; null for the configuration's default store. */
  store: string | null;
  /** In the syntax of systemd's `OnCalendar=`. */
  at: string;
  keep: KeepSettings;
  /** Where an encrypted store's passphrase or key comes from. */
  passphrase: { file: string | null; command: string | null; keyFile: string | null };
  sshConfigFile: string | null;
  reports: RunReportOptions;
  /** How a running guest is backed up; `clone` needs a file system with reflinks. */
  whileRunning: 'clone' | 'pause' | 'halt';
  /** See `StandstillOptions`; null for the default. */
  maxPauseMs: number | null;
  /** For what goes over the line to the store; null: as the configuration says when the backup runs. */
  limitRate: RateLimit | null;
  /** Of the images that are named by their paths; by their names unless given. */
  imageFormat?: ImageFormat;
  /** Absolute: see `withBackingDirectories`. */
  backingDirectories: readonly string[];
  /** Keep a clone of each image beside it for the next backup (doc/second-pass.md). */
  keepClones: boolean;
  /** The schedule's name; null to name it after the guest. */
  name: string | null;
  /** The guest's name in the store, if it is not its own; only with one guest. */
  guestName: string | null;
  /** The units are for the system's manager, not for this account's. */
  isSystem: boolean;
  /** `units` are written and enabled. `print` and `cron` write nothing. */
  output: 'units' | 'print' | 'cron';
}

/** A request, resolved for this machine. */
export interface ScheduleFindings {
  config: Config;
  store: ResolvedStore;
  guests: readonly ResolvedGuest[];
  calendar: Calendar;
  world: ScheduleWorld;
  drivers: readonly GuestDriver[];
}

/** Everything that goes into the units. Throws Failure `usage` for a name that a unit cannot have. */
export function planRun(request: ScheduleRequest, findings: ScheduleFindings): ScheduledRun {
  const { config, store, guests, calendar, world, drivers } = findings;
  const { vmferry, environment } = world;
  const { isSystem, reports, whileRunning, maxPauseMs, limitRate, imageFormat, keepClones, guestName } =
    request;
  const guestNames = guests.map(({ definition }) => guestName ?? definition.name);
  const typedGuests = guests.map(({ definition }, index) =>
    nameOrPath(definition, request.guests[index] ?? ''),
  );
  // With the store's name, its settings are read from the configuration when the backup runs.
  const typedStore = store.name === null ? withoutRelative(store.location) : `@${store.name}`;
  const { file, command, keyFile } = request.passphrase;
  const sshConfig = request.sshConfigFile && resolve(request.sshConfigFile);
  const keep = keepArguments(request.keep);
  // The rules are written into the unit, also when they come from the configuration, so that the unit shows what is removed.
  const keepOptions = keep.length > 0 ? keep : keepArguments(config.keep ?? {});
  const commands = backupCommands({
    vmferry,
    guests: typedGuests,
    guestNames,
    store: typedStore,
    backupOptions: [
      ...(whileRunning === 'clone' ? [] : [`--${whileRunning}`]),
      ...option('--max-pause', maxPauseMs === null ? null : String(maxPauseMs / 1000)),
      ...option('--limit-rate', limitRate?.text ?? null),
      ...option('--image-format', imageFormat ?? null),
      ...request.backingDirectories.flatMap((path) => ['--backing-directory', path]),
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
  const kept = keptEnvironment(environment, drivers, ownVariables);
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

/** A guest is given by its name, because its images may move. An image has only its path. */
function nameOrPath(definition: GuestDefinition, typed: string): string {
  return isImageOnly(definition) ? resolve(typed) : definition.name;
}

/** Makes a directory's path absolute. A location with a colon before the first slash is on another machine. */
function withoutRelative(location: string): string {
  return /^[^/.][^/]*:/.test(location) ? location : resolve(location);
}

function option(name: string, value: string | null): string[] {
  return value === null ? [] : [name, value];
}

/** What a backup needs besides the variables by which guests and records are found. */
const ownVariables = [...stateVariables, 'VMFERRY_PASSPHRASE_FILE', 'VMFERRY_PASSPHRASE_COMMAND'];

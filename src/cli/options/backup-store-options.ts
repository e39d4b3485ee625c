import { resolve } from 'node:path';
import type { Options } from 'yargs';
import type { Config, StoreSettings } from '../../config/config.ts';
import type { PassphraseRequest } from '../../operations/store-access/passphrase-source.ts';
import type { SecretGiven } from '../../operations/store-access/refuse-unencrypted.ts';
import type { GuestDone, RunReportOptions, RunSubject } from '../../operations/reports/run-record.ts';
import type { StoreSession } from '../../operations/store-access/store-session.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import type { RateLimit } from '../../rate-limit.ts';
import type { CommandEnvironment } from './command.ts';
import { readLimitRate } from './limit-rate-option.ts';
import { optionalText, type Arguments } from './options.ts';
import { openPassphraseSource, passphraseOptions, readPassphraseOptions } from './passphrase-options.ts';
import { withConfiguredReports } from './run-report-options.ts';
import { sshConfigOption } from './ssh-config-option.ts';
import { parseStoreLocation } from './store-location.ts';

/** For every command that opens a store. */
export const backupStoreOptions = {
  ...passphraseOptions,
  ...sshConfigOption,
} as const satisfies Record<string, Options>;

/** For the help of the argument. */
export const storeDescription =
  'A directory, HOST:PATH, sftp://[USER@]HOST[:PORT]/PATH, or a name from the configuration file';

export interface StoreArguments {
  /** As typed; null means the configuration's default. */
  store: string | null;
  sshConfigFile: string | null;
  passphrase: PassphraseRequest;
  /** The passphrase comes from the environment, so it may be meant for other stores, too. */
  isPassphraseForAll: boolean;
  /** Null: the limit of the configuration, if it has one. */
  limitRate: RateLimit | null;
}

/**
 * Throws Failure `usage`.
 * @param name of the argument or option that names the store
 */
export function readStoreArguments(args: Arguments, name: 'store' | 'to' | 'source'): StoreArguments {
  const sshConfigFile = optionalText(args, 'ssh-config');
  return {
    store: optionalText(args, name),
    sshConfigFile: sshConfigFile === null ? null : resolve(sshConfigFile),
    passphrase: readPassphraseOptions(args),
    isPassphraseForAll: !isGiven(readPassphraseOptions(args, {})),
    limitRate: readLimitRate(args),
  };
}

/** A run that is reported by pings and metrics. */
export interface WatchedRun {
  operation: RunSubject['operation'];
  /** Empty means all guests in the store. */
  guests: readonly string[];
  reports: RunReportOptions;
}

export interface OpenedArguments {
  session: StoreSession;
  config: Config;
  /** For the metrics: call it for each guest as soon as that guest is done. */
  guestDone: GuestDone;
}

export interface BeforeWork {
  /** Loads the modules that the work needs, while the store's server is connecting. */
  load?: () => unknown;
  /** Throws if the work cannot use this configuration; called before the store is opened. */
  check?: (config: Config) => void;
}

/** The kind of store that a command needs: a store to read or prune (null), to send backups to, or to make. */
export type WantedStore =
  null | { kind: 'for-backups'; mustBeEncrypted: boolean } | { kind: 'new'; encrypt: boolean };

/**
 * Opens the store, runs the work with it, and closes it. Throws Failure `usage` if no store is named, and whatever opening
 * it throws. Pings and metrics report these failures, too.
 * @param watched null: no pings or metrics
 */
export async function withStore<Result>(
  storeArguments: StoreArguments,
  wanted: WantedStore,
  environment: CommandEnvironment<StoreDependencies>,
  work: (opened: OpenedArguments) => Promise<Result>,
  watched: WatchedRun | null = null,
  { load = () => undefined, check = () => undefined }: BeforeWork = {},
): Promise<Result> {
  const { dependencies, context } = environment;
  const { loadConfig } = await import('../../config/load-config.ts');
  const { resolveStore } = await import('../../config/resolve-store.ts');
  const config = await loadConfig(dependencies.environment, context);
  const settings = resolveStore(config, storeArguments.store);
  const run = async (guestDone: GuestDone) => {
    check(config);
    return withOpenedStore(storeArguments, settings, wanted, environment, load, (session) =>
      work({ session, config, guestDone }),
    );
  };
  if (watched === null) return run(() => undefined);
  const { withRunReports } = await import('../../operations/reports/run-record.ts');
  const { operation, guests, reports } = watched;
  const subject = { operation, guests, store: settings.name ?? settings.location };
  return withRunReports(withConfiguredReports(reports, config), subject, run, context);
}

async function withOpenedStore<Result>(
  { sshConfigFile, passphrase, isPassphraseForAll, limitRate }: StoreArguments,
  settings: StoreSettings,
  wanted: WantedStore,
  environment: CommandEnvironment<StoreDependencies>,
  load: () => unknown,
  work: (session: StoreSession) => Promise<Result>,
): Promise<Result> {
  const { askedNow } = await import('../../operations/store-access/passphrase-source.ts');
  const { dependencies, context } = environment;
  const location = parseStoreLocation(settings.location);
  const secret = isGiven(passphrase)
    ? passphrase
    : { ...passphrase, file: settings.passphraseFile, command: settings.passphraseCommand };
  const secretGiven: SecretGiven = !isGiven(secret)
    ? 'no'
    : isGiven(passphrase) && isPassphraseForAll
      ? 'for-all'
      : 'for-it';
  const isNew = wanted?.kind === 'new';
  if (isNew) {
    const { refuseUnencrypted } = await import('../../operations/store-access/refuse-unencrypted.ts');
    refuseUnencrypted(null, wanted.encrypt, secretGiven, settings.location);
  }
  const source = await openPassphraseSource(secret, environment);
  const options = {
    // Ask for the passphrase before the store is made: without one nothing is made.
    passphrase: isNew && wanted.encrypt ? await askedNow(source) : source,
    forBackups: wanted?.kind === 'for-backups' ? wanted : null,
    memory: dependencies.storeMemory,
    now: dependencies.now,
    secretGiven,
  };
  const meanwhile = () => {
    // If loading fails, it fails again where the module is needed.
    Promise.all([import('../../operations/store-access/store-session.ts'), load()]).catch(() => undefined);
  };
  await using store = await dependencies.openStoreAt(
    location,
    {
      sshConfigFile: sshConfigFile ?? settings.sshConfig,
      limitRate: limitRate ?? settings.limitRate,
      create: isNew,
      meanwhile,
    },
    context,
  );
  const { StoreSession } = await import('../../operations/store-access/store-session.ts');
  const session = isNew
    ? await StoreSession.make(store, options, { encrypt: wanted.encrypt, ...dependencies }, context)
    : await StoreSession.open(store, options, context);
  return await work(session);
}

function isGiven({ file, command, keyFile }: PassphraseRequest): boolean {
  return file !== null || command !== null || keyFile !== null;
}

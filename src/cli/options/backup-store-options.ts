import { resolve } from 'node:path';
import type { Options } from 'yargs';
import type { Config, StoreSettings } from '../../config/config.ts';
import type { PassphraseRequest } from '../../operations/store-access/passphrase-source.ts';
import type { SecretGiven } from '../../operations/store-access/refuse-plain.ts';
import type { GuestDone, RunReportOptions, RunSubject } from '../../operations/reports/run-record.ts';
import type { StoreSession } from '../../operations/store-access/store-session.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import type { CommandEnvironment } from './command.ts';
import { optionalText, type Arguments } from './options.ts';
import { openPassphraseSource, passphraseOptions, readPassphraseOptions } from './passphrase-options.ts';
import { withConfiguredReports } from './run-report-options.ts';
import { parseStoreLocation } from './store-location.ts';

/** Of every command that opens a store of backups. */
export const backupStoreOptions = {
  ...passphraseOptions,
  'ssh-config': {
    alias: 'F',
    type: 'string',
    requiresArg: true,
    describe: "An ssh configuration file instead of one's own",
  },
} as const satisfies Record<string, Options>;

/** For the help of the argument. */
export const storeDescription =
  'A directory, HOST:PATH, sftp://[USER@]HOST[:PORT]/PATH, or a name of the configuration file';

export interface StoreArguments {
  /** As it was typed; null: the configuration's default. */
  store: string | null;
  sshConfigFile: string | null;
  passphrase: PassphraseRequest;
  /** It is from the environment, and so not meant for this store only. */
  isPassphraseForAll: boolean;
}

/**
 * Throws Failure `usage`.
 * @param name of the argument or option that names the store
 */
export function readStoreArguments(args: Arguments, name: 'store' | 'to'): StoreArguments {
  const sshConfigFile = optionalText(args, 'ssh-config');
  return {
    store: optionalText(args, name),
    sshConfigFile: sshConfigFile === null ? null : resolve(sshConfigFile),
    passphrase: readPassphraseOptions(args),
    isPassphraseForAll: !isGiven(readPassphraseOptions(args, {})),
  };
}

/** A run that somebody may watch over: by pings, and by metrics. */
export interface WatchedRun {
  operation: RunSubject['operation'];
  /** Empty: whatever guests the store has. */
  guests: readonly string[];
  reports: RunReportOptions;
}

export interface OpenedArguments {
  session: StoreSession;
  config: Config;
  /** For the metrics: to be called for each guest as soon as it is done. */
  guestDone: GuestDone;
}

export interface BeforeWork {
  /** Loads what the work will need; called while the other side is waited for. */
  load?: () => unknown;
  /** Throws for a configuration that the work could do nothing with; called before the store is opened. */
  check?: (config: Config) => void;
}

/** Which store a command wants: one to read and to tidy up, one to send backups to, or a new one, which is made. */
export type WantedStore =
  null | { kind: 'for-backups'; mustBeEncrypted: boolean } | { kind: 'new'; encrypt: boolean };

/**
 * Opens the store, gives it to the work, and closes it. Throws Failure `usage` for what names no store, and what opening
 * it throws; who watches over the run hears of that, too.
 * @param watched null: nobody does
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
  { sshConfigFile, passphrase, isPassphraseForAll }: StoreArguments,
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
    const { refusePlain } = await import('../../operations/store-access/refuse-plain.ts');
    refusePlain(null, wanted.encrypt, secretGiven, settings.location);
  }
  const source = await openPassphraseSource(secret, environment);
  const options = {
    // Nothing is made before it is certain that there is one.
    passphrase: isNew && wanted.encrypt ? await askedNow(source) : source,
    forBackups: wanted?.kind === 'for-backups' ? wanted : null,
    memory: dependencies.storeMemory,
    now: dependencies.now,
    secretGiven,
  };
  const meanwhile = () => {
    // What goes wrong here does so again where it is needed.
    Promise.all([import('../../operations/store-access/store-session.ts'), load()]).catch(() => undefined);
  };
  await using store = await dependencies.openStoreAt(
    location,
    { sshConfigFile: sshConfigFile ?? settings.sshConfig, create: isNew, meanwhile },
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

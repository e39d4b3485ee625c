/** What a person has written down once, instead of typing it each time. */
export interface Config {
  /** By the names that stand for them on a command line. */
  stores: Readonly<Record<string, StoreSettings>>;
  /** The name of the store that is meant where none is named. */
  defaultStore: string | null;
  /** Which snapshots a prune keeps; null where nothing is said of it. */
  keep: KeepSettings | null;
  pingUrl: string | null;
  /** Absolute path. */
  metricsFile: string | null;
  /** The files that all this is from. */
  files: readonly string[];
}

export interface StoreSettings {
  /** As on a command line; never a relative path. */
  location: string;
  /** Absolute paths. */
  passphraseFile: string | null;
  sshConfig: string | null;
  /** A shell command that prints the passphrase. */
  passphraseCommand: string | null;
}

/** Counts of snapshots, and a length of time in milliseconds, as a prune takes them. */
export interface KeepSettings {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  withinMs?: number;
}

/** Far more than a person writes; a parser's work on it is bounded. */
export const largestConfigBytes = 65_536;

/** What one file says; undefined where it says nothing. */
export interface ConfigFile {
  stores?: Record<string, StoreSettings>;
  defaultStore?: string;
  keep?: KeepSettings;
  pingUrl?: string;
  metricsFile?: string;
}

/**
 * One configuration from several files, the later ones before the earlier. A store, and what to keep, are each taken as
 * a whole: half of a rule from here and half from there would be a rule that nobody has written.
 */
export function mergeConfig(files: readonly { path: string; content: ConfigFile }[]): Config {
  const merged: ConfigFile = Object.assign({}, ...files.map(({ content }) => content));
  return {
    stores: Object.assign({}, ...files.map(({ content }) => content.stores)) as Config['stores'],
    defaultStore: merged.defaultStore ?? null,
    keep: merged.keep ?? null,
    pingUrl: merged.pingUrl ?? null,
    metricsFile: merged.metricsFile ?? null,
    files: files.map(({ path }) => path),
  };
}

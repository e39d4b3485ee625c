import type { RateLimit } from '../rate-limit.ts';

/** The merged configuration files: options that need not be typed each time. */
export interface Config {
  /** By their names on the command line. */
  stores: Readonly<Record<string, StoreSettings>>;
  /** The name of the store to use if none is given. */
  defaultStore: string | null;
  /** Which snapshots a prune keeps; null if not set. */
  keep: KeepSettings | null;
  pingUrl: string | null;
  /** Absolute path. */
  metricsFile: string | null;
  /** The files that were read. */
  files: readonly string[];
}

export interface StoreSettings {
  /** As on the command line, but never a relative path. */
  location: string;
  /** Absolute paths. */
  passphraseFile: string | null;
  sshConfig: string | null;
  /** A shell command that prints the passphrase. */
  passphraseCommand: string | null;
  /** For what goes over the line to it; null: unlimited. */
  limitRate: RateLimit | null;
}

/**
 * Which snapshots a prune keeps: the newest `last`; the newest of each of the last `hourly` hours that have a snapshot, and so
 * on for days, weeks, months and years; and all that are at most `withinMs` milliseconds old. A snapshot is kept if any rule
 * keeps it. Each number is a whole number of one or more.
 */
export interface KeepSettings {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  withinMs?: number;
}

/** Far more than a person writes; it bounds the parser's work. */
export const largestConfigBytes = 65_536;

/** The content of one file; undefined for missing keys. */
export interface ConfigFile {
  stores?: Record<string, StoreSettings>;
  defaultStore?: string;
  keep?: KeepSettings;
  pingUrl?: string;
  metricsFile?: string;
}

/**
 * Merges files: later files win. Each store, and `keep`, comes from one file as a whole: mixed parts of two files would be
 * a rule that nobody wrote.
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

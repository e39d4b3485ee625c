import { Failure } from '../failure.ts';
import type { Config, StoreSettings } from './config.ts';
import { closest } from './suggestion.ts';

/** A store as a command line names it, with what the configuration says of it. */
export interface ResolvedStore extends StoreSettings {
  /** Its name in the configuration; null for a location that was given as such. */
  name: string | null;
}

/**
 * The store that a person means. A word without a slash and a colon, and `@NAME`, is always one of the configuration; a
 * directory has a slash: `./NAME`. Null: the default one. Throws Failure `usage` for a name that is not there.
 */
export function resolveStore(config: Config, text: string | null): ResolvedStore {
  if (text === null) return defaultStore(config);
  if (text.startsWith('@')) return namedStore(config, text.slice(1), text);
  if (!/[/:]/.test(text) && text !== '.' && text !== '..') return namedStore(config, text, text);
  return { name: null, location: text, passphraseFile: null, sshConfig: null, passphraseCommand: null };
}

function defaultStore(config: Config): ResolvedStore {
  if (config.defaultStore !== null) return namedStore(config, config.defaultStore, '');
  throw new Failure('usage', 'No store is named.', {
    advice:
      'Name one: a directory, sftp://USER@HOST/PATH, or one of the configuration file, where `defaults: {store: NAME}` can name the one that is meant.',
  });
}

/** @param typed empty for the default */
function namedStore(config: Config, name: string, typed: string): ResolvedStore {
  const settings = settingsOf(config, name);
  if (settings !== undefined) return { name, ...settings };
  const known = Object.keys(config.stores);
  const meant = closest(name, known);
  const suggestion = meant === null ? '' : ` Did you mean ${meant}?`;
  const directory = typed === name ? `A directory of that name is written ./${name}. ` : '';
  throw new Failure('usage', `The configuration has no store named ${JSON.stringify(name)}.${suggestion}`, {
    advice:
      directory +
      (known.length === 0
        ? 'The configuration has no stores; doc/schedule.md tells how one is written down.'
        : `The configuration has: ${known.toSorted().join(', ')}.`),
  });
}

function settingsOf({ stores }: Config, name: string): StoreSettings | undefined {
  return Object.hasOwn(stores, name) ? stores[name] : undefined;
}

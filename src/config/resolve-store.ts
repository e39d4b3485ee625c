import { Failure } from '../failure.ts';
import type { Config, StoreSettings } from './config.ts';
import { closest } from './suggestion.ts';

/** A store named on the command line, with its settings from the configuration. */
export interface ResolvedStore extends StoreSettings {
  /** Its name in the configuration; null for a location. */
  name: string | null;
}

/**
 * Finds the store that was typed. `@NAME`, and a word without slash and colon, is a name in the configuration; a directory
 * needs a slash: `./NAME`. Null means the default store. Throws Failure `usage` for an unknown name.
 */
export function resolveStore(config: Config, text: string | null): ResolvedStore {
  if (text === null) return defaultStore(config);
  if (text.startsWith('@')) return namedStore(config, text.slice(1), text);
  if (!/[/:]/.test(text) && text !== '.' && text !== '..') return namedStore(config, text, text);
  return {
    name: null,
    location: text,
    passphraseFile: null,
    sshConfig: null,
    passphraseCommand: null,
    limitRate: null,
  };
}

function defaultStore(config: Config): ResolvedStore {
  if (config.defaultStore !== null) return namedStore(config, config.defaultStore, '');
  throw new Failure('usage', 'No store was given.', {
    advice:
      'Give a directory, HOST:PATH, sftp://USER@HOST/PATH or a name from the configuration file. There, `defaults: {store: NAME}` sets the default.',
  });
}

/** @param typed empty for the default store */
function namedStore(config: Config, name: string, typed: string): ResolvedStore {
  const settings = settingsOf(config, name);
  if (settings !== undefined) return { name, ...settings };
  const known = Object.keys(config.stores);
  const meant = closest(name, known);
  const suggestion = meant === null ? '' : ` Did you mean ${meant}?`;
  const directory = typed === name ? `For a directory of that name, type ./${name}. ` : '';
  throw new Failure('usage', `The configuration has no store named ${JSON.stringify(name)}.${suggestion}`, {
    advice:
      directory +
      (known.length === 0
        ? 'The configuration has no stores; doc/schedule.md shows how to add one.'
        : `The configuration has: ${known.toSorted().join(', ')}.`),
  });
}

function settingsOf({ stores }: Config, name: string): StoreSettings | undefined {
  return Object.hasOwn(stores, name) ? stores[name] : undefined;
}

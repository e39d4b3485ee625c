import { compareVersions } from '../inspection/version-order.ts';
import type { MenuEntry, Word } from './menu-entry.ts';

/** A file of /boot/loader/entries (Boot Loader Specification, type 1), named by its path. */
export interface LoaderEntryFile {
  /** Its name without `.conf`. */
  id: string;
  text: string;
}

/** In all files together, what variables stand for may have so many characters. */
const MOST_EXPANDED_CHARACTERS = 2 ** 16;

/** The entries that GRUB's `blscfg` makes of these files: the newest version first. */
export function readLoaderEntries(
  files: readonly LoaderEntryFile[],
  lookUp: (variable: string) => string | null,
): MenuEntry[] {
  let left = MOST_EXPANDED_CHARACTERS;
  const valueOf = (variable: string) => {
    const value = lookUp(variable);
    left -= value?.length ?? 0;
    return left < 0 ? null : value;
  };
  return files
    .toSorted((one, other) => compareVersions(other.id, one.id))
    .map(({ id, text }, index) => {
      const fields = text.split('\n').flatMap((raw, at) => {
        const [, key, value = ''] = /^([a-z-]+)[ \t]+(.*)$/.exec(raw.trim()) ?? [];
        return key === undefined ? [] : [{ key, value: value.trim(), line: at + 1 }];
      });
      const wordsOf = (key: string): Word[] =>
        fields.filter((field) => field.key === key).flatMap(({ value }) => expandWords(value, valueOf));
      const title = fields.find(({ key }) => key === 'title')?.value ?? id;
      const kernel = fields.findLast(({ key }) => key === 'linux');
      const [word] = wordsOf('linux');
      return {
        title,
        line: 1,
        levels: [{ index, title, id }],
        initrds: wordsOf('initrd'),
        arguments: wordsOf('options'),
        ...(kernel === undefined || word === undefined ? {} : { kernel: { word, line: kernel.line } }),
      };
    });
}

/** Fedora's `options $kernelopts $tuned_params`. */
function expandWords(value: string, valueOf: (variable: string) => string | null): Word[] {
  return splitWords(value).flatMap((word): Word[] => {
    const [all, name] = /\$\{?(\w{1,200})\}?/.exec(word) ?? [];
    if (all === undefined || name === undefined) return [{ text: word, unknown: null }];
    const known = valueOf(name);
    if (known === null) return [{ text: word.replace(all, ''), unknown: name }];
    // What GRUB has kept may have words, but no further variables.
    return splitWords(word.replace(all, () => known)).map((text) => ({ text, unknown: null }));
  });
}

/** Blanks within double quotes do not end an argument. */
function splitWords(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"]|"[^"]*(?:"|$))+/g)].map(([word]) => word);
}

import { compareVersions } from '../inspection/version-order.ts';
import type { MenuEntry, UnknownVariable, UnreadEntry, Word } from './menu-entry.ts';

/** A file of /boot/loader/entries (Boot Loader Specification, type 1). */
export interface LoaderEntryFile {
  /** Its name without `.conf`. */
  id: string;
  path: string;
  text: string;
}

/** In one entry, what variables stand for may have so many characters. */
const MOST_EXPANDED_CHARACTERS = 2 ** 16;

type ValueOf = (variable: string) => string | null;

/** The entries that GRUB's `blscfg` makes of these files: the newest version first. */
export function readLoaderEntries(files: readonly LoaderEntryFile[], valueOf: ValueOf): UnreadEntry[] {
  return files
    .toSorted((one, other) => compareVersions(other.id, one.id))
    .map((file, index) => {
      const title = /^[ \t]*title[ \t]+(.*)$/m.exec(file.text)?.[1]?.trim() ?? file.id;
      const levels = [{ index, title, id: file.id }];
      return { title, levels, read: () => ({ title, levels, ...readLoads(file, limited(valueOf)) }) };
    });
}

function readLoads({ path, text }: LoaderEntryFile, valueOf: ValueOf): Omit<MenuEntry, 'title' | 'levels'> {
  const fields = text.split('\n').flatMap((raw, at) => {
    const [, key, value = ''] = /^([a-z-]+)[ \t]+(.*)$/.exec(raw.trim()) ?? [];
    return key === undefined ? [] : [{ key, value: value.trim(), line: at + 1 }];
  });
  const wordsOf = (wanted: string): Word[] =>
    fields.filter(({ key }) => key === wanted).flatMap(({ value }) => expandWords(value, valueOf));
  const kernel = fields.findLast(({ key }) => key === 'linux');
  const [word] = expandWords(kernel?.value ?? '', valueOf);
  return {
    path,
    line: 1,
    initrds: wordsOf('initrd'),
    arguments: wordsOf('options'),
    ...(kernel === undefined || word === undefined ? {} : { kernel: { word, line: kernel.line } }),
  };
}

function limited(valueOf: ValueOf): ValueOf {
  let left = MOST_EXPANDED_CHARACTERS;
  return (variable) => {
    const value = valueOf(variable);
    left -= value?.length ?? 0;
    return left < 0 ? null : value;
  };
}

/** Fedora's `options $kernelopts $tuned_params`. */
function expandWords(value: string, valueOf: ValueOf): Word[] {
  return splitWords(value).flatMap((word): Word[] => {
    const unknown: UnknownVariable[] = [];
    let text = '';
    let end = 0;
    for (const { 0: all, 1: name = '', index } of word.matchAll(/\$\{?(\w{1,200})\}?/g)) {
      text += word.slice(end, index);
      end = index + all.length;
      const known = valueOf(name);
      if (known === null) unknown.push({ name, at: text.length });
      text += known ?? '';
    }
    text += word.slice(end);
    // What GRUB has kept may have words, but no further variables.
    if (unknown.length === 0) return splitWords(text).map((part) => ({ text: part, unknown }));
    return [{ text, unknown }];
  });
}

/** Blanks within double quotes do not end an argument. */
function splitWords(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"]|"[^"]*(?:"|$))+/g)].map(([word]) => word);
}

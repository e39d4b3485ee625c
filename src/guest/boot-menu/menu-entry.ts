import { posix } from 'node:path';
import { Failure } from '../../failure.ts';
import { controlCharacter, unprintable } from '../../unprintable.ts';

/** A menu of more bytes, entries or nested blocks is not read. pygrub's limit for a menu is the same. */
export const MOST_MENU_BYTES = 2 ** 20;
export const MOST_ENTRIES = 1000;
/** Linux on x86 takes half as much (COMMAND_LINE_SIZE). */
const MOST_ARGUMENT_CHARACTERS = 4096;
const MOST_INITRDS = 8;
/** Each is told of. */
const MOST_LEFT_OUT = 16;
/** A menu in which a word has more is not read. */
export const MOST_UNKNOWN_IN_WORD = 32;

/** The text of a boot menu, and where it is in the guest. */
export interface MenuText {
  path: string;
  text: string;
}

/** A word of a menu, without its quotes. */
export interface Word {
  text: string;
  /** The variables in it whose values are not known, in their order. */
  unknown: readonly UnknownVariable[];
  /** It is nothing but such variables, without quotation marks: if they have no values, GRUB does not see a word. */
  mayVanish?: true;
}

/** A word of a menu that has no variables. */
export function plain(text: string): Word {
  return { text, unknown: [] };
}

export interface UnknownVariable {
  name: string;
  /** Where the text of the word lacks its value, in characters. */
  at: number;
}

/** What an entry of a menu loads, as the menu says it. */
export interface MenuEntry {
  title: string;
  line: number;
  /** The file that the lines are counted in, if it is not the menu itself. */
  path?: string;
  /** For the choice of the default: the submenus that it is in, the outermost first, and the entry itself. */
  levels: readonly MenuLevel[];
  /** Absent if the entry loads no kernel. */
  kernel?: { word: Word; line: number };
  initrds: readonly Word[];
  arguments: readonly Word[];
  /** A command that boots something else, which may load Linux in its turn. */
  other?: { command: string; line: number };
}

export interface MenuLevel {
  index: number;
  title: string;
  id?: string;
}

/** An entry whose words are read when it is chosen. */
export interface UnreadEntry extends Pick<MenuEntry, 'title' | 'levels'> {
  read: () => MenuEntry;
}

/** The entries of a menu, in their order. */
export interface Menu {
  entries: readonly (MenuEntry | UnreadEntry)[];
  /** As the menu names it: a number, a title, an id, or several of them with `>` between them. */
  defaultEntry: string;
}

/** What an entry loads: paths in the file system that the menu is in. */
export interface BootEntry {
  title: string;
  line: number;
  kernel: string;
  initrds: readonly string[];
  arguments: readonly string[];
  /** Words that are left out, because they have a variable that only the boot loader knows. */
  leftOut: readonly string[];
}

export const advice =
  'Name a kernel of the new machine instead: --kernel FILE, and --initrd FILE with the initial RAM disk of that kernel.';

export function cannotFollow({ path }: Pick<MenuText, 'path'>, line: number, why: string): Failure {
  return new Failure(
    'guest-unsupported',
    `The guest's boot menu ${path} cannot be followed: line ${line} ${why}.`,
    {
      advice,
    },
  );
}

/** Checks an entry, and removes what only a boot loader needs. Throws Failure `guest-unsupported`, which names the line. */
export function readEntry(entry: MenuEntry, menu: Pick<MenuText, 'path'>, baseDirectory = ''): BootEntry {
  const { title, line, kernel, initrds, other } = entry;
  const place = { path: entry.path ?? menu.path };
  if (other !== undefined)
    throw cannotFollow(place, other.line, `boots with ${shown(other.command)}, not Linux itself`);
  if (kernel === undefined)
    throw cannotFollow(place, line, `begins an entry (${shown(title)}) that loads no Linux`);
  const refuse = (why: string) => cannotFollow(place, kernel.line, why);
  const pathOf = (word: Word): string => {
    // GRUB's `($root)/vmlinuz`, `(hd0,1)/vmlinuz`: as for pygrub, that is where the menu is.
    const [device = ''] = /^\([^()]*\)/.exec(word.text) ?? [];
    const path = word.text.slice(device.length);
    const unknown = word.unknown.find(({ at }) => at === 0 || at >= device.length);
    if (unknown !== undefined) throw refuse(`has the variable ${shown(unknown.name)} in a path`);
    // Syslinux: ‘../vmlinuz’ is beside the directory of the menu.
    const absolute = path.startsWith('/') ? path : posix.join('/', baseDirectory, path);
    const joined = absolute.replaceAll(/\/{2,}/g, '/');
    const climbs = joined.split('/').some((part) => part === '..' || part === '.');
    if (joined.length > 1024 || climbs || controlCharacter.test(joined))
      throw refuse(`names ${shown(path)}, which is no plain path`);
    return joined;
  };
  // Fedora's `$tuned_initrd` is all of its word.
  const named = initrds.filter(({ text }) => text !== '');
  if (named.length > MOST_INITRDS) throw refuse(`has more than ${MOST_INITRDS} initial RAM disks`);
  const root = entry.arguments.find(({ text, unknown }) => unknown.length > 0 && text.startsWith('root='));
  if (root !== undefined) throw refuse(`has the variable ${shown(root.unknown[0]?.name ?? '')} in root=`);
  const kept = entry.arguments.filter(({ unknown }) => unknown.length === 0).map(({ text }) => text);
  const characters = kept.reduce((sum, argument) => sum + argument.length + 1, 0);
  if (characters > MOST_ARGUMENT_CHARACTERS)
    throw refuse(`has more than ${MOST_ARGUMENT_CHARACTERS} characters of arguments`);
  if (kept.some((argument) => controlCharacter.test(argument)))
    throw refuse('has a control character in an argument');
  const unnamed = initrds.filter(({ text }) => text === '');
  const unknown = [...unnamed, ...entry.arguments].filter((word) => word.unknown.length > 0);
  const leftOut = new Set(unknown.map(shownWord));
  if (leftOut.size > MOST_LEFT_OUT)
    throw refuse(`has more than ${MOST_LEFT_OUT} words with variables that only a boot loader knows`);
  return {
    title: shown(title),
    line,
    kernel: pathOf(kernel.word),
    initrds: named.map(pathOf),
    arguments: kept,
    leftOut: [...leftOut],
  };
}

/** With the names of variables at the places of their values. */
function shownWord({ text, unknown }: Word): string {
  const parts = unknown.map(
    ({ name, at }, index) => `${text.slice(unknown[index - 1]?.at ?? 0, at)}$${name}`,
  );
  return shown([...parts, text.slice(unknown.at(-1)?.at ?? 0)].join(''));
}

/** A guest's text, for a message: short, and nothing in it that a terminal obeys. */
export function shown(text: string): string {
  return (text.length > 80 ? `${text.slice(0, 80)}…` : text).replaceAll(unprintable, '?');
}

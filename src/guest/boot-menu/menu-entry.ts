import { posix } from 'node:path';
import { Failure } from '../../failure.ts';

/** A menu of more bytes, entries or nested blocks is not read. pygrub's limit for a menu is the same. */
export const MOST_MENU_BYTES = 2 ** 20;
export const MOST_ENTRIES = 1000;
/** Linux on x86 takes half as much (COMMAND_LINE_SIZE). */
const MOST_ARGUMENT_CHARACTERS = 4096;
const MOST_INITRDS = 8;

/** The text of a boot menu, and where it is in the guest. */
export interface MenuText {
  path: string;
  text: string;
}

/** A word of a menu, without its quotes. */
export interface Word {
  text: string;
  /** The name of a variable in it whose value is not known; its place in the text is empty. */
  unknown: string | null;
}

/** What an entry of a menu loads, as the menu says it. */
export interface MenuEntry {
  title: string;
  line: number;
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

/** The entries of a menu, in their order. */
export interface Menu {
  entries: readonly MenuEntry[];
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
  if (other !== undefined)
    throw cannotFollow(menu, other.line, `boots with ${other.command}, not Linux itself`);
  if (kernel === undefined)
    throw cannotFollow(menu, line, `begins an entry (${shown(title)}) that loads no Linux`);
  const refuse = (why: string) => cannotFollow(menu, kernel.line, why);
  const pathOf = ({ text, unknown }: Word): string => {
    // GRUB's `($root)/vmlinuz`, `(hd0,1)/vmlinuz`: as for pygrub, that is where the menu is.
    const path = text.replace(/^\([^()]*\)/, '');
    const [device] = /^\([^()]*\)/.exec(text) ?? [];
    if (unknown !== null && device === undefined)
      throw refuse(`has the variable ${shown(unknown)} in a path`);
    // Syslinux: ‘../vmlinuz’ is beside the directory of the menu.
    const absolute = path.startsWith('/') ? path : posix.join('/', baseDirectory, path);
    const plain = absolute.replaceAll(/\/{2,}/g, '/');
    if (plain.length > 1024 || plain.split('/').some((part) => part === '..' || part === '.'))
      throw refuse(`names ${shown(path)}, which is no plain path`);
    return plain;
  };
  const known = initrds.filter(({ text, unknown }) => unknown === null || text.startsWith('('));
  if (known.length > MOST_INITRDS) throw refuse(`has more than ${MOST_INITRDS} initial RAM disks`);
  const root = entry.arguments.find(({ text, unknown }) => unknown !== null && text.startsWith('root='));
  if (root !== undefined) throw refuse(`has the variable ${shown(root.unknown ?? '')} in root=`);
  const kept = entry.arguments.filter(({ unknown }) => unknown === null).map(({ text }) => text);
  const characters = kept.reduce((sum, argument) => sum + argument.length + 1, 0);
  if (characters > MOST_ARGUMENT_CHARACTERS)
    throw refuse(`has more than ${MOST_ARGUMENT_CHARACTERS} characters of arguments`);
  // oxlint-disable-next-line no-control-regex -- they must not reach the hypervisor
  if (kept.some((argument) => /[\u0000-\u001f\u007f]/.test(argument)))
    throw refuse('has a control character in an argument');
  return {
    title: shown(title),
    line,
    kernel: pathOf(kernel.word),
    initrds: known.map(pathOf),
    arguments: kept,
    leftOut: [...initrds, ...entry.arguments]
      .filter((word) => word.unknown !== null && !known.includes(word))
      .map(({ text, unknown }) => shown(`${text}$${unknown ?? ''}`)),
  };
}

/** A guest's text, short enough for a message. */
export function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

import { GrubConditions } from './grub-conditions.ts';
import { scanGrubScript, type Statement } from './grub-script.ts';
import { mayBeSetByGrub } from './grub-test.ts';
import {
  cannotFollow,
  MOST_ENTRIES,
  type Menu,
  type MenuEntry,
  type MenuLevel,
  type MenuText,
  type UnreadEntry,
  type Word,
} from './menu-entry.ts';

const MOST_BLOCKS = 32;

const kernelCommands = ['linux', 'linux16', 'linuxefi'];
const initrdCommands = ['initrd', 'initrd16', 'initrdefi'];
/** They load another system, which would load Linux as a module of its own. */
const otherCommands = ['multiboot', 'multiboot2', 'module', 'module2', 'xen_hypervisor', 'xen_module'];
/** Options of commands that put what they find into a variable. */
const settingOption = /^(?:--set|-s)$/;
const countingCommands = ['read', 'increment', 'decrement'];
/** What the scripts of all distributions put before an entry's id. Its value depends on GRUB's version only. */
const ID_OPTION = 'menuentry_id_option';
/** It holds for one boot. The kernel that is looked for is to hold for all. */
const ONE_BOOT = 'next_entry';

type Block = { depth: number } & (
  | { kind: 'entry'; entry: Building }
  | { kind: 'submenu'; level: MenuLevel; nextIndex: number }
  | { kind: 'other' }
);

interface Building extends MenuEntry {
  initrds: Word[];
  arguments: readonly Word[];
}

/**
 * Reads a grub.cfg without running it. Outside of entries, conditions that compare variables decide what is read. Of all others, and
 * in entries, both branches are read, as by pygrub, and of two lines that say the same the last one counts. Throws Failure
 * `guest-unsupported`, which names the line.
 * @param environment variables that GRUB keeps (grubenv)
 * @param loaderEntries what `blscfg` puts into the menu
 */
export function readGrub2Menu(
  menu: MenuText,
  environment: ReadonlyMap<string, string>,
  loaderEntries: (valueOf: ValueOf) => readonly UnreadEntry[],
): Menu {
  const reading = new Grub2Reading(menu, environment, loaderEntries);
  for (const statement of scanGrubScript(menu, reading.valueOf)) reading.take(statement);
  return reading.end();
}

export type ValueOf = (variable: string) => string | null;

class Grub2Reading {
  readonly valueOf: ValueOf;
  readonly #menu: MenuText;
  readonly #environment: ReadonlyMap<string, string>;
  readonly #loaderEntries: (valueOf: ValueOf) => readonly UnreadEntry[];
  readonly #variables: Map<string, string>;
  /** They have a value when the guest boots, but nobody knows which. */
  readonly #unknowable = new Set<string>();
  readonly #conditions = new GrubConditions((name) => mayBeSetByGrub(name) || this.#unknowable.has(name));
  readonly #entries: (MenuEntry | UnreadEntry)[] = [];
  /** The innermost last. */
  readonly #blocks: Block[] = [];
  readonly #top = { nextIndex: 0 };
  #defaultEntry = '0';

  constructor(
    menu: MenuText,
    environment: ReadonlyMap<string, string>,
    loaderEntries: (valueOf: ValueOf) => readonly UnreadEntry[],
  ) {
    this.#menu = menu;
    this.#environment = environment;
    this.#loaderEntries = loaderEntries;
    this.#variables = new Map(environment);
    for (const name of [ID_OPTION, ONE_BOOT]) this.#variables.delete(name);
    this.valueOf = (name) => this.#variables.get(name) ?? null;
  }

  take(statement: Statement): void {
    const { line, words: all, opensBlock, closesBlock } = statement;
    if (closesBlock) {
      const block = this.#blocks.pop();
      if (block === undefined) throw cannotFollow(this.#menu, line, 'ends a block that never began');
      this.#conditions.leaveBlock(block.depth);
      return;
    }
    if (opensBlock) {
      this.#open(statement);
      return;
    }
    if (this.#isIn('other')) return;
    const words = this.#conditions.take(all);
    const inner = this.#blocks.at(-1);
    if (inner?.kind === 'entry') readCommand(inner.entry, words, line);
    if (inner?.kind === 'entry' || this.#conditions.reached === false) return;
    for (const name of namesSetBy(all, words)) {
      this.#unknowable.add(name);
      this.#variables.delete(name);
    }
    if (words[0]?.text === 'blscfg') this.#addLoaderEntries(line);
    else this.#assign(words);
  }

  end(): Menu {
    const { text } = this.#menu;
    if (this.#blocks.length > 0)
      throw cannotFollow(this.#menu, text.split('\n').length, 'ends the file within a block');
    return { entries: this.#entries, defaultEntry: this.#defaultEntry };
  }

  #open({ line, words: all }: Statement): void {
    if (this.#blocks.length === MOST_BLOCKS)
      throw cannotFollow(this.#menu, line, `is in more than ${MOST_BLOCKS} blocks`);
    const words = this.#isIn('other') ? all : this.#conditions.take(all);
    const { depth, reached } = this.#conditions;
    const [command, title] = words;
    const isShown = command?.text === 'menuentry' || command?.text === 'submenu';
    if (!isShown || title === undefined || this.#isIn('other') || reached === false) {
      this.#blocks.push({ kind: 'other', depth });
      return;
    }
    if (this.#isIn('entry')) throw cannotFollow(this.#menu, line, 'begins an entry within an entry');
    const above = this.#above();
    const level = this.#levelOf(title.text, idIn(words));
    if (command?.text === 'submenu') {
      this.#blocks.push({ kind: 'submenu', depth, level, nextIndex: 0 });
      return;
    }
    const levels = [...above, level];
    const entry: Building = { title: title.text, line, levels, initrds: [], arguments: [] };
    this.#add(entry, line);
    this.#blocks.push({ kind: 'entry', depth, entry });
  }

  #addLoaderEntries(line: number): void {
    for (const entry of this.#loaderEntries(this.valueOf)) {
      const [own] = entry.levels;
      const level = this.#levelOf(own?.title ?? '', own?.id);
      this.#add({ ...entry, levels: [...this.#above(), level] }, line);
    }
  }

  #assign(words: readonly Word[]): void {
    const isCertain = this.#conditions.reached === true;
    if (words[0]?.text === 'unset' && isCertain)
      for (const { text } of words.slice(1)) this.#variables.delete(text);
    const set = assignment(words);
    if (set === null || set.name === ID_OPTION) return;
    if (set.name === 'default') this.#defaultEntry = set.value ?? '0';
    // Where a condition is not known, what GRUB has kept counts more than what should be if nothing was kept.
    if (set.name === ONE_BOOT || (!isCertain && this.#environment.has(set.name))) return;
    if (set.value === null) {
      this.#unknowable.add(set.name);
      this.#variables.delete(set.name);
    } else this.#variables.set(set.name, set.value);
  }

  #add(entry: MenuEntry | UnreadEntry, line: number): void {
    if (this.#entries.length === MOST_ENTRIES)
      throw cannotFollow(this.#menu, line, `begins more than ${MOST_ENTRIES} entries`);
    this.#entries.push(entry);
  }

  #isIn(kind: Block['kind']): boolean {
    return this.#blocks.some((block) => block.kind === kind);
  }

  #above(): MenuLevel[] {
    return this.#blocks.flatMap((block) => (block.kind === 'submenu' ? [block.level] : []));
  }

  #levelOf(title: string, id: string | undefined): MenuLevel {
    const menu = this.#blocks.findLast((block) => block.kind === 'submenu') ?? this.#top;
    const level = { index: menu.nextIndex, title, ...(id === undefined ? {} : { id }) };
    menu.nextIndex += 1;
    return level;
  }
}

function readCommand(entry: Building, words: readonly Word[], line: number): void {
  const [first, file, ...rest] = words;
  const command = first?.text ?? '';
  if (otherCommands.includes(command)) entry.other ??= { command, line };
  if (file === undefined) return;
  if (kernelCommands.includes(command)) {
    entry.kernel = { word: file, line };
    entry.arguments = rest.map(quotedForLinux);
  }
  if (initrdCommands.includes(command)) entry.initrds = [file, ...rest];
}

/** GRUB gives an argument with blanks to Linux in quotes. */
function quotedForLinux({ text, unknown }: Word): Word {
  if (!/\s/.test(text)) return { text, unknown };
  const [, key = '', value = text] = /^([^\s=]+=)(.*)$/s.exec(text) ?? [];
  return { text: `${key}"${value.replaceAll('"', '')}"`, unknown };
}

/** `set name=value`, or `name=value`. The value is null if it is not known. */
function assignment(words: readonly Word[]): { name: string; value: string | null } | null {
  const [first, second] = words;
  const word = first?.text === 'set' ? second : words.length === 1 ? first : undefined;
  const [, name, value = ''] = /^(\w{1,200})=(.*)$/s.exec(word?.text ?? '') ?? [];
  if (name === undefined) return null;
  return { name, value: word?.unknown.length === 0 ? value : null };
}

/** Variables that get a value nobody knows: `search --set=dev`, `regexp --set 1:name`, `read name`, `for name in …`. */
function namesSetBy(all: readonly Word[], words: readonly Word[]): string[] {
  if (all[0]?.text === 'for') return all.slice(1, 2).map(({ text }) => text);
  if (countingCommands.includes(words[0]?.text ?? '')) return words.slice(1).map(({ text }) => text);
  return all.flatMap(({ text }, at) => {
    const [, joined] = /^--set=(.+)$/s.exec(text) ?? [];
    const name = joined ?? (settingOption.test(text) ? all[at + 1]?.text : undefined);
    return name === undefined ? [] : [name.replace(/^\d+:/, '')];
  });
}

/** Scripts say `--id`, or have it in a variable, since old versions of GRUB do not know it. */
function idIn(words: readonly Word[]): string | undefined {
  const at = words.findIndex(({ text, unknown }) => text === '--id' || unknown[0]?.name === ID_OPTION);
  const [, joined] =
    /^--id=(.+)$/s.exec(words.find(({ text }) => text.startsWith('--id='))?.text ?? '') ?? [];
  return joined ?? (at === -1 ? undefined : words[at + 1]?.text);
}

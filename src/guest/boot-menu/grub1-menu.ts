import {
  cannotFollow,
  MOST_ENTRIES,
  plain,
  type Menu,
  type MenuEntry,
  type MenuText,
  type Word,
} from './menu-entry.ts';

/**
 * Reads a menu of GRUB 1 (menu.lst, grub.conf; GRUB Legacy manual, ‘Commands’): no script, one command a line. A saved default is the
 * first entry, as for pygrub. Throws Failure `guest-unsupported`, which names the line.
 */
export function readGrub1Menu(menu: MenuText): Menu {
  const entries: MenuEntry[] = [];
  let defaultEntry = '0';
  let entry: (MenuEntry & { initrds: readonly Word[]; arguments: readonly Word[] }) | null = null;
  for (const [index, raw] of menu.text.split('\n').entries()) {
    const line = index + 1;
    const text = raw.trim();
    // `default=0` and `default 0` are the same.
    const [, command = '', rest = ''] = /^([A-Za-z]\w*)(?:[ \t]*=[ \t]*|[ \t]+|$)(.*)$/.exec(text) ?? [];
    const words = rest.split(/[ \t]+/).filter((word) => word !== '');
    if (command === 'title') {
      if (entries.length === MOST_ENTRIES)
        throw cannotFollow(menu, line, `begins more than ${MOST_ENTRIES} entries`);
      const levels = [{ index: entries.length, title: rest }];
      entry = { title: rest, line, levels, initrds: [], arguments: [] };
      entries.push(entry);
    } else if (entry === null) {
      if (command === 'default') defaultEntry = /^\d+$/.test(rest) ? rest : '0';
    } else if (command === 'kernel') {
      // Options of GRUB come before the file: --type=linux, --no-mem-option.
      const at = words.findIndex((word) => !word.startsWith('--'));
      const file = words[at];
      if (file === undefined) continue;
      entry.kernel = { word: plain(file), line };
      entry.arguments = words.slice(at + 1).map(plain);
    } else if (command === 'initrd') entry.initrds = words.map(plain);
    else if (command === 'module' || command === 'modulenounzip') entry.other ??= { command, line };
  }
  return { entries, defaultEntry };
}

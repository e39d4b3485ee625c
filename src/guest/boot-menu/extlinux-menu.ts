import {
  cannotFollow,
  MOST_ENTRIES,
  plain,
  type Menu,
  type MenuEntry,
  type MenuText,
  type Word,
} from './menu-entry.ts';

interface Label extends MenuEntry {
  initrds: readonly Word[];
  arguments: readonly Word[];
  hasInitrdLine: boolean;
  hasAppend: boolean;
}

/**
 * Reads an extlinux.conf (doc/syslinux.txt of Syslinux). Other files that it includes are not read. Throws Failure
 * `guest-unsupported`, which names the line.
 */
export function readExtlinuxMenu(menu: MenuText): Menu {
  const labels: Label[] = [];
  let chosen = '';
  let marked: string | null = null;
  let commonArguments: readonly string[] = [];
  for (const [index, raw] of menu.text.split('\n').entries()) {
    const line = index + 1;
    const [, command = '', rest = ''] = /^([A-Za-z]\w*)(?:[ \t]+(.*))?$/.exec(raw.trim()) ?? [];
    const words = rest.split(/[ \t]+/).filter((word) => word !== '');
    const label = labels.at(-1);
    switch (command.toLowerCase()) {
      case 'default':
      case 'ontimeout':
        // After DEFAULT may come arguments.
        if (chosen === '' || command.toLowerCase() === 'ontimeout') chosen = words[0] ?? '';
        break;
      case 'label':
        if (labels.length === MOST_ENTRIES)
          throw cannotFollow(menu, line, `begins more than ${MOST_ENTRIES} entries`);
        labels.push({
          title: rest,
          line,
          levels: [{ index: labels.length, title: rest, id: words[0] ?? '' }],
          initrds: [],
          arguments: [],
          hasInitrdLine: false,
          hasAppend: false,
        });
        break;
      case 'menu':
        if (words[0]?.toLowerCase() === 'default' && label !== undefined)
          marked = label.levels[0]?.id ?? null;
        break;
      case 'kernel':
      case 'linux':
        if (label !== undefined && words[0] !== undefined) label.kernel = { word: plain(words[0]), line };
        break;
      case 'initrd':
        if (label !== undefined) {
          label.initrds = filesIn(rest);
          label.hasInitrdLine = true;
        }
        break;
      case 'append':
        if (label === undefined) commonArguments = words;
        else {
          readArguments(label, words[0] === '-' ? [] : words);
          label.hasAppend = true;
        }
        break;
      default:
    }
  }
  for (const label of labels) {
    if (!label.hasAppend) readArguments(label, commonArguments);
    const module = /\.(?:c32|com|cbt)$/i.exec(label.kernel?.word.text ?? '')?.[0];
    if (module !== undefined && label.kernel !== undefined)
      label.other = { command: label.kernel.word.text, line: label.kernel.line };
  }
  // DEFAULT may name the program that shows the menu.
  const isLabel = labels.some(({ levels }) => levels[0]?.id === chosen);
  return { entries: labels, defaultEntry: isLabel ? chosen : (marked ?? '0') };
}

function readArguments(label: Label, words: readonly string[]): void {
  const initrd = words.find((word) => word.toLowerCase().startsWith('initrd='));
  label.arguments = words.filter((word) => word !== initrd).map(plain);
  if (initrd !== undefined && !label.hasInitrdLine) label.initrds = filesIn(initrd.slice('initrd='.length));
}

function filesIn(list: string): Word[] {
  return list
    .trim()
    .split(',')
    .filter((file) => file !== '')
    .map(plain);
}

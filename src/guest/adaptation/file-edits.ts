import type { FileEdit } from '../../image/contents/file-edit.ts';
import type { GuestSystem } from '../inspection/guest-system.ts';
import { cardRule, linkFile, linkFileName, type CardName } from './card-names.ts';
import { editInittab, editSecuretty } from './edit-getty.ts';
import type { EditedText } from './edit-fstab.ts';

export interface PlannedEdits {
  edits: readonly FileEdit[];
  changes: readonly string[];
}

/** The edit of a file that is there; none if nothing changes. */
export function editOf(
  system: GuestSystem,
  path: string,
  edit: (text: string) => EditedText,
): PlannedEdits & { warnings: readonly string[] } {
  const before = system.files[path];
  if (before === undefined) return { edits: [], changes: [], warnings: [] };
  const { text, changes, warnings } = edit(before);
  return { edits: text === before ? [] : [{ path, before, after: text }], changes, warnings };
}

/**
 * A login prompt on the new console. systemd starts one by itself (systemd-getty-generator(8)); sysvinit and busybox read
 * /etc/inittab, which cannot be changed at boot.
 */
export function gettyEdits(
  system: GuestSystem,
  oldConsole: string | undefined,
  newConsole: string | undefined,
): PlannedEdits {
  if (newConsole === undefined || newConsole === oldConsole) return { edits: [], changes: [] };
  const inittab =
    system.init === 'systemd'
      ? []
      : [editOf(system, '/etc/inittab', (text) => editInittab(text, newConsole))];
  const all = [...inittab, editOf(system, '/etc/securetty', (text) => editSecuretty(text, newConsole))];
  return { edits: all.flatMap(({ edits }) => edits), changes: all.flatMap(({ changes }) => changes) };
}

/** Files that keep the names of network cards. */
export function cardEdits(system: GuestSystem, cards: readonly CardName[]): PlannedEdits {
  if (cards.length === 0 || system.udev === 'none') return { edits: [], changes: [] };
  const changes = cards.map(
    ({ mac, name }) => `The network card${mac === null ? '' : ` ${mac}`} is named ${name}.`,
  );
  if (system.udev === 'rules') {
    const after = cards.map(cardRule).join('');
    return { edits: [{ path: '/etc/udev/rules.d/70-vmferry-net.rules', before: null, after }], changes };
  }
  const edits = cards.map((card) => ({
    path: `/etc/systemd/network/${linkFileName(card)}`,
    before: null,
    after: linkFile(card),
  }));
  return { edits, changes };
}

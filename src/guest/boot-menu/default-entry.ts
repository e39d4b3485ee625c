import type { Menu, MenuEntry, MenuLevel } from './menu-entry.ts';

/**
 * The entry that boots by itself: `default` names it by its number, its title or its id, in submenus with `>` between them (GRUB manual,
 * ‘default’). If there is no such entry it is the first, as for GRUB and pygrub. Null for a menu without entries.
 */
export function defaultEntryOf({ entries, defaultEntry }: Menu): MenuEntry | null {
  const parts = defaultEntry.split(/(?<!>)>(?!>)/).map((part) => part.replaceAll('>>', '>'));
  const byAll = entries.find(({ levels }) => parts.every((part, at) => isMeant(levels[at], part)));
  const leaf = parts.at(-1) ?? '';
  // GRUB also knows an entry in a submenu by its id alone.
  const byLeaf = entries.find(({ levels }) => !/^\d+$/.test(leaf) && isMeant(levels.at(-1), leaf));
  const chosen = byAll ?? byLeaf ?? entries[0] ?? null;
  return chosen !== null && 'read' in chosen ? chosen.read() : chosen;
}

function isMeant(level: MenuLevel | undefined, part: string): boolean {
  if (level === undefined) return false;
  return /^\d+$/.test(part) ? level.index === Number(part) : level.id === part || level.title === part;
}

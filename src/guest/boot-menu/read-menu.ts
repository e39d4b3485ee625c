import { posix } from 'node:path';
import { Failure } from '../../failure.ts';
import type { Debugfs } from '../../image/contents/debugfs.ts';
import { listExtDirectory, statExtFile } from '../../image/contents/ext-files.ts';
import { followExtLinks } from '../../image/contents/follow-links.ts';
import type { BootDirectory } from '../inspection/inspect-kernels.ts';
import { defaultEntryOf } from './default-entry.ts';
import { readExtlinuxMenu } from './extlinux-menu.ts';
import { readGrub1Menu } from './grub1-menu.ts';
import { readGrub2Menu } from './grub2-menu.ts';
import { readGrubEnvironment } from './grub-environment.ts';
import { readLoaderEntries, type LoaderEntryFile } from './loader-entries.ts';
import {
  advice,
  MOST_MENU_BYTES,
  readEntry,
  type BootEntry,
  type Menu,
  type MenuEntry,
  type MenuText,
} from './menu-entry.ts';

const MOST_LOADER_ENTRIES = 64;

/** Below /boot, in pygrub's order. */
const menus = [
  { name: 'grub/grub.cfg', language: 'grub2' },
  { name: 'grub2/grub.cfg', language: 'grub2' },
  { name: 'extlinux/extlinux.conf', language: 'extlinux' },
  { name: 'extlinux.conf', language: 'extlinux' },
  { name: 'grub/menu.lst', language: 'grub1' },
  { name: 'grub/grub.conf', language: 'grub1' },
] as const;

export interface EntryInMenu extends BootEntry {
  /** The menu, in its file system. */
  menu: string;
}

/**
 * The entry that the boot menu in this directory boots by itself; null if there is no menu. Throws Failure `guest-unsupported` if
 * the menu cannot be followed.
 */
export async function readMenuIn({ debugfs, path }: BootDirectory): Promise<EntryInMenu | null> {
  for (const { name, language } of menus) {
    const menu = await readSmallFile(debugfs, `${path}/${name}`);
    if (menu === null) {
      await refuseLink(debugfs, `${path}/${name}`);
      continue;
    }
    const isGrub2 = language === 'grub2';
    const environment = isGrub2 ? await readEnvironment(debugfs, posix.dirname(menu.path)) : new Map();
    const loaderFiles = isGrub2 ? await readLoaderFiles(debugfs, path) : [];
    return readMenu(language, menu, { environment, loaderFiles });
  }
  return readLoaderMenu({ debugfs, path });
}

export interface BesideMenu {
  /** What GRUB 2 has kept (grubenv). */
  environment: ReadonlyMap<string, string>;
  loaderFiles: readonly LoaderEntryFile[];
}

/** The entry that a menu boots by itself. Throws Failure `guest-unsupported`. Pure. */
export function readMenu(
  language: (typeof menus)[number]['language'],
  menu: MenuText,
  { environment, loaderFiles }: BesideMenu,
): EntryInMenu {
  switch (language) {
    case 'grub1':
      return chosen(readGrub1Menu(menu), menu);
    case 'extlinux':
      return chosen(readExtlinuxMenu(menu), menu, posix.dirname(menu.path));
    case 'grub2':
      return chosen(
        readGrub2Menu(menu, environment, (valueOf) => readLoaderEntries(loaderFiles, valueOf)),
        menu,
      );
  }
}

/** Where the menu itself is on the firmware's partition, which is no ext file system. */
async function readLoaderMenu({ debugfs, path }: BootDirectory): Promise<EntryInMenu | null> {
  const files = await readLoaderFiles(debugfs, path);
  if (files.length === 0) return null;
  const environment = await readEnvironment(debugfs, `${path}/grub2`);
  const entries = readLoaderEntries(files, (name) => environment.get(name) ?? null);
  const defaultEntry = environment.get('saved_entry') ?? '0';
  return chosen({ entries, defaultEntry }, { path: `${path}/loader/entries`, text: '' });
}

function chosen(menu: Menu, text: MenuText, baseDirectory = ''): EntryInMenu {
  const entry: MenuEntry | null = defaultEntryOf(menu);
  if (entry === null)
    throw new Failure('guest-unsupported', `The guest's boot menu ${text.path} has no entries.`, { advice });
  return { ...readEntry(entry, text, baseDirectory), menu: text.path };
}

/** A menu that is passed over would mean another kernel without a word. */
async function refuseLink(debugfs: Debugfs, path: string): Promise<void> {
  if ((await statExtFile(debugfs, path))?.type === 'symlink')
    throw new Failure(
      'guest-unsupported',
      `The guest's boot menu ${path} is a link that cannot be followed in its file system.`,
      { advice },
    );
}

async function readEnvironment(debugfs: Debugfs, directory: string): Promise<Map<string, string>> {
  const file = await readSmallFile(debugfs, `${directory}/grubenv`);
  return readGrubEnvironment(file?.text ?? '');
}

async function readLoaderFiles(debugfs: Debugfs, boot: string): Promise<LoaderEntryFile[]> {
  const directory = `${boot}/loader/entries`;
  const names = (await listExtDirectory(debugfs, directory)).filter((name) => name.endsWith('.conf'));
  const files: LoaderEntryFile[] = [];
  let left = MOST_MENU_BYTES;
  for (const name of names.slice(-MOST_LOADER_ENTRIES)) {
    const file = await readSmallFile(debugfs, `${directory}/${name}`);
    if (file === null) continue;
    left -= file.text.length;
    if (left < 0)
      throw new Failure(
        'guest-unsupported',
        `The files in ${directory} of the guest have more than ${MOST_MENU_BYTES} bytes together. vmferry does not read more.`,
        { advice },
      );
    files.push({ id: name.slice(0, -'.conf'.length), ...file });
  }
  return files;
}

/** Null if there is no such file. Throws Failure `guest-unsupported` if its size is that of no menu. */
async function readSmallFile(debugfs: Debugfs, path: string): Promise<MenuText | null> {
  const found = await followExtLinks(debugfs, path);
  if (found === null || found.file.type !== 'regular') return null;
  const { inode, sizeBytes } = found.file;
  if (sizeBytes > MOST_MENU_BYTES)
    throw new Failure(
      'guest-unsupported',
      `The guest's boot menu ${path} has ${sizeBytes} bytes. vmferry reads at most ${MOST_MENU_BYTES}.`,
      { advice },
    );
  const content = await debugfs.dump(inode);
  if (content.length < sizeBytes)
    throw new Failure(
      'read-failed',
      `${path} in ${debugfs.place.image ?? debugfs.place.path} cannot be read.`,
    );
  return { path, text: content.toString('utf8', 0, sizeBytes) };
}

import { rename, rm, symlink } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { makeDirectories } from '../../../../system/make-directories.ts';
import { syncDirectory } from '../../../../system/sync-directory.ts';
import type { XenHost } from '../host/host.ts';
import { findConfigFile, identityOf, listAutoEntries } from './config-files.ts';
import { changing } from './write-file.ts';

/** The usual path of a guest's configuration. */
export function usualPath(host: XenHost, name: string): string {
  return join(host.configDirectory, `${name}.cfg`);
}

/**
 * Has xendomains start the guest with the machine, or not. What an administrator has put there stays: an entry that starts the
 * guest already, with its place in the order (`01_web`).
 */
export async function setXenAutostart(host: XenHost, name: string, isOn: boolean): Promise<void> {
  const entries = listAutoEntries(host).filter(({ file }) => file.name === name);
  if (!isOn) {
    for (const { entry, isLink } of entries) await takeOut(host, name, entry, isLink);
    return;
  }
  if (entries.length > 0) return;
  const file = findConfigFile(host, name);
  if (file === null)
    throw new Failure('guest-not-found', placed`The guest ${name} has no configuration ${here}.`);
  const link = join(host.autoDirectory, basename(file.path));
  if (existsSync(link))
    throw new Failure('target-exists', placed`${link} is there ${here} already, and starts another guest.`);
  await changing(link, async () => {
    await makeDirectories(host.autoDirectory, 0o755);
    await symlink(relative(host.autoDirectory, file.path), link);
    await syncDirectory(host.autoDirectory);
  });
}

/** A file that is not a link may be all that there is of the guest: it is put at the usual path then. */
async function takeOut(host: XenHost, name: string, entry: string, isLink: boolean): Promise<void> {
  const path = usualPath(host, name);
  await changing(entry, async () => {
    if (isLink || isElsewhere(host, entry)) await rm(entry);
    else if (existsSync(path))
      throw new Failure(
        'target-exists',
        placed`${entry} would be put at ${path}, which is there ${here} already.`,
      );
    else await rename(entry, path);
    await syncDirectory(host.autoDirectory);
    await syncDirectory(host.configDirectory);
  });
}

/** Whether it is a hard link to another file that is found. */
function isElsewhere(host: XenHost, entry: string): boolean {
  if (statSync(entry).nlink < 2) return false;
  const identity = identityOf(entry);
  const name = listAutoEntries(host).find((one) => one.entry === entry)?.file.name ?? '';
  const path = usualPath(host, name);
  return existsSync(path) && identityOf(path) === identity;
}

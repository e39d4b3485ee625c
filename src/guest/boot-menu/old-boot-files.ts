import { lstat } from 'node:fs/promises';
import type { Context } from '../../events.ts';
import type { GuestDefinition } from '../definition.ts';
import { allDefinitions, type GuestSources } from '../known-definitions.ts';
import { surveyRunning } from '../survey-guests.ts';
import { isMadeToBoot } from './boot-file-paths.ts';
import type { BootFilePaths } from './take-boot-files.ts';

/**
 * The kernel and the initial RAM disk of a guest that moved away, if this machine has made them for it and no other guest boots from
 * them; nor may the guest itself run here, to which a move on one machine has brought it. Throws the failure of a hypervisor that cannot be asked.
 * @param made names of files that this machine makes to boot the guest
 */
export async function findOldBootFiles(
  { name, kernel, initrd }: Pick<GuestDefinition, 'name' | 'kernel' | 'initrd'>,
  made: BootFilePaths,
  sources: GuestSources,
  context: Context,
): Promise<string[]> {
  const files = [kernel, initrd].filter((path) => path !== null).filter((path) => isMadeToBoot(path, made));
  if (files.length === 0) return [];
  const others = (await allDefinitions(sources, context)).filter((other) => other.name !== name);
  const { running } = await surveyRunning(sources.drivers, context);
  const booted = [...others, ...running.map(({ definition }) => definition)];
  const found: string[] = [];
  for (const path of files) {
    const isNeeded = booted.some((other) => other.kernel === path || other.initrd === path);
    const stats = await lstat(path).catch(() => null);
    if (!isNeeded && stats?.isFile() === true) found.push(path);
  }
  return found;
}

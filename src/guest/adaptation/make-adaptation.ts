import { dirname } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { applyEdits } from '../../image/contents/edit-files.ts';
import type { FileEdit } from '../../image/contents/file-edit.ts';
import type { GuestDefinition } from '../definition.ts';
import type { BootFiles } from '../boot-menu/guest-kernel.ts';
import { makePassable } from '../boot-menu/make-passable.ts';
import { takeBootFiles, type BootFilePaths } from '../boot-menu/take-boot-files.ts';
import { appendToInitrd } from '../initrd/append-to-initrd.ts';

/** What is to be done to a guest that was copied, before it is booted (`Adaptation`). */
export interface AdaptationWork {
  /** As it is to run, with the adapted command line. */
  definition: GuestDefinition;
  /** The file system in a copy that the edits are for; null if there are none. */
  root: { path: string; offset: number } | null;
  edits: readonly FileEdit[];
  /** To be appended to the initial RAM disk; null if nothing is to do at boot. */
  bootArchive: Uint8Array | null;
  /** What is taken out of the copy first; null if the definition names the files of this machine that boot it. */
  bootFiles: (BootFiles & { path: string; offset: number }) | null;
}

/**
 * Makes the edits on the copy, which must not be mounted, and an initial RAM disk of the guest's own, and takes its kernel out of
 * the copy. Returns the definition to boot, which names them. Throws Failure `write-failed` and `read-failed`; the caller then
 * discards the copy and these files.
 * @param paths files to make; they are replaced
 */
export async function makeAdaptation(
  { definition: given, root, edits, bootArchive, bootFiles }: AdaptationWork,
  paths: BootFilePaths,
  context: Pick<Context, 'signal'>,
): Promise<GuestDefinition> {
  const definition =
    bootFiles === null ? given : { ...given, ...(await takeOut(given, bootFiles, paths, context)) };
  if (root !== null) {
    const disk = definition.disks.find(({ path }) => path === root.path);
    if (disk === undefined)
      throw new Failure('internal', `${root.path} is not a disk of ${definition.name}.`);
    await applyEdits({ ...root, format: disk.format ?? 'raw' }, edits, context);
  }
  if (bootArchive === null) return definition;
  if (definition.initrd === null)
    throw new Failure('internal', `${definition.name} has no initial RAM disk to add to.`);
  await makePassable(dirname(paths.initrd));
  await appendToInitrd(definition.initrd, bootArchive, paths.initrd);
  return { ...definition, initrd: paths.initrd };
}

function takeOut(
  { name, disks }: GuestDefinition,
  { path, offset, kernel, initrds }: NonNullable<AdaptationWork['bootFiles']>,
  paths: BootFilePaths,
  context: Pick<Context, 'signal'>,
): Promise<Pick<GuestDefinition, 'kernel' | 'initrd'>> {
  const disk = disks.find((one) => one.path === path);
  if (disk === undefined) throw new Failure('internal', `${path} is not a disk of ${name}.`);
  const { format = 'raw' } = disk;
  return takeBootFiles({ image: { path, format }, offset, kernel, initrds }, paths, context);
}

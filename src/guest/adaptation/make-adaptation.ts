import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { applyEdits } from '../../image/contents/edit-files.ts';
import type { FileEdit } from '../../image/contents/file-edit.ts';
import type { GuestDefinition } from '../definition.ts';
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
}

/**
 * Makes the edits on the copy, which must not be mounted, and an initial RAM disk of the guest's own. Returns the
 * definition to boot, which names it. Throws Failure `write-failed`; the caller then discards the copy and the initial RAM
 * disk.
 * @param initrdPath a file to make; it is replaced
 */
export async function makeAdaptation(
  { definition, root, edits, bootArchive }: AdaptationWork,
  initrdPath: string,
  context: Pick<Context, 'signal'>,
): Promise<GuestDefinition> {
  if (root !== null) {
    const disk = definition.disks.find(({ path }) => path === root.path);
    if (disk === undefined)
      throw new Failure('internal', `${root.path} is not a disk of ${definition.name}.`);
    await applyEdits({ ...root, format: disk.format ?? 'raw' }, edits, context);
  }
  if (bootArchive === null) return definition;
  if (definition.initrd === null)
    throw new Failure('internal', `${definition.name} has no initial RAM disk to add to.`);
  await appendToInitrd(definition.initrd, bootArchive, initrdPath);
  return { ...definition, initrd: initrdPath };
}

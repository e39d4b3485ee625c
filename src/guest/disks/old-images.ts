import { lstat, unlink } from 'node:fs/promises';
import { combineFailures, Failure } from '../../failure.ts';
import type { Context } from '../../events.ts';
import type { GuestDefinition } from '../definition.ts';
import { allDefinitions, type GuestSources } from '../known-definitions.ts';
import { backingFilesOf } from '../../image/formats/view/image-files.ts';
import { findUse } from '../../image/usage/refuse-used.ts';
import { errorCode } from '../../system/error-code.ts';
import { fileIdentity } from '../../system/file-identity.ts';

/** The images of a guest that moved away, as they may be deleted here. */
export interface OldImages {
  /** Files that only this guest has. */
  files: string[];
  /** Block devices, links, variables of UEFI, and disks that the guest cannot write to: they may be needed, and may not have moved. */
  others: string[];
}

/**
 * Finds what may be deleted. Throws Failure `image-in-use` if anything uses an image, or another guest has it, and that of a hypervisor that
 * cannot be asked for its guests.
 */
export async function findOldImages(
  { name, disks }: GuestDefinition,
  sources: GuestSources,
  context: Context,
): Promise<OldImages> {
  const found: OldImages = { files: [], others: [] };
  const problems: Failure[] = [];
  const others = (await allDefinitions(sources, context)).filter((one) => one.name !== name);
  const theirs = new Map<string, string>();
  for (const other of others)
    for (const disk of other.disks)
      for (const path of [disk.path, ...backingFilesOf(disk)]) {
        const identity = await fileIdentity(path);
        if (identity !== null) theirs.set(identity, other.name);
      }
  for (const { path, readOnly, purpose } of disks) {
    const stats = await lstat(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    });
    if (stats === null) continue;
    if (readOnly || purpose !== undefined || !stats.isFile()) {
      found.others.push(path);
      continue;
    }
    const owner = theirs.get((await fileIdentity(path)) ?? '');
    const use = await findUse(path, 'End that use first. Nothing was deleted.');
    if (use !== null) problems.push(use);
    else if (owner === undefined) found.files.push(path);
    else
      problems.push(
        new Failure('image-in-use', `${path} is also a disk of the guest ${owner}.`, {
          advice: 'Nothing was deleted. Leave out --delete-source.',
        }),
      );
  }
  const [first, ...rest] = problems;
  if (first !== undefined) throw combineFailures([first, ...rest]);
  return found;
}

/** Throws Failure `write-failed` for the first one that cannot be deleted. */
export async function deleteImages(paths: readonly string[]): Promise<void> {
  for (const path of paths)
    await unlink(path).catch((cause: unknown) => {
      throw new Failure('write-failed', `${path} could not be deleted.`, {
        advice: 'The move is committed. Delete the image yourself.',
        cause,
      });
    });
}

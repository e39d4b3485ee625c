import { Failure } from '../../../failure.ts';
import type { Adaptation } from '../../../guest/adaptation/plan.ts';
import type { GuestDefinition } from '../../../guest/definition.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import type { MoverMessage } from '../../../wire/messages.ts';
import { seenKernel, type GuestThere } from './guest-there.ts';

/** What the new hardware is told to change in a copy, or at its boot (doc/wire.md). */
export interface AdaptationWork extends Pick<
  Extract<MoverMessage, { type: 'adapt' }>,
  'root' | 'edits' | 'bootArchive' | 'bootFiles'
> {
  /** As it is to boot there. */
  guest: GuestDefinition;
}

/**
 * @param fixups null if the guest stays as it is
 * @param system what the fixups were planned with
 */
export function adaptationWork(
  there: GuestThere,
  fixups: Adaptation | null,
  system: GuestSystem | null,
): AdaptationWork {
  const { definition, newDiskIndexes } = there;
  const bootFiles = bootFilesThere(there);
  const files = bootFiles === null ? {} : { bootFiles };
  if (fixups === null) return { guest: definition, root: null, edits: [], bootArchive: null, ...files };
  const { edits, bootArchive, commandLine } = fixups;
  const index = system === null ? null : (newDiskIndexes[system.root.diskIndex] ?? null);
  const disk = index === null ? undefined : definition.disks[index];
  const root =
    system === null || disk === undefined || edits.length === 0
      ? null
      : { path: disk.path, offset: system.root.offset };
  return {
    guest: { ...definition, commandLine },
    root,
    edits: root === null ? [] : edits.map(({ path, before, after }) => ({ path, before, after })),
    bootArchive: bootArchive === null ? null : Buffer.from(bootArchive).toString('base64'),
    ...files,
  };
}

/** What boots the guest there, as it lies in the image there. Null if the definition names it. Throws Failure `usage`. */
export function bootFilesThere(there: GuestThere): NonNullable<AdaptationWork['bootFiles']> | null {
  const seen = seenKernel(there);
  if (seen === null) return null;
  const { definition, newDiskIndexes } = there;
  const { place, kernel, initrds } = seen;
  const disk = definition.disks[newDiskIndexes[place.diskIndex] ?? -1];
  if (disk === undefined)
    throw new Failure('usage', `The disk with the kernel of ${definition.name} stays behind.`, {
      advice: 'Name a kernel of the new machine: --kernel FILE.',
    });
  return { path: disk.path, offset: place.offset, kernel, initrds };
}

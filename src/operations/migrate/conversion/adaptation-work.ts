import type { Adaptation } from '../../../guest/adaptation/plan.ts';
import type { GuestDefinition } from '../../../guest/definition.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import type { MoverMessage } from '../../../wire/messages.ts';
import type { GuestThere } from './guest-there.ts';

/** What the new hardware is told to change in a copy, or at its boot (doc/wire.md). */
export interface AdaptationWork extends Pick<
  Extract<MoverMessage, { type: 'adapt' }>,
  'root' | 'edits' | 'bootArchive'
> {
  /** As it is to boot there. */
  guest: GuestDefinition;
}

/**
 * @param fixups null if the guest stays as it is
 * @param system what the fixups were planned with
 */
export function adaptationWork(
  { definition, newDiskIndexes }: GuestThere,
  fixups: Adaptation | null,
  system: GuestSystem | null,
): AdaptationWork {
  if (fixups === null) return { guest: definition, root: null, edits: [], bootArchive: null };
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
  };
}

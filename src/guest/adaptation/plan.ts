import type { FileEdit } from '../../image/contents/file-edit.ts';
import type { GuestDefinition } from '../definition.ts';
import type { GuestSystem } from '../inspection/guest-system.ts';
import { bootArchive, isBootWorkEmpty, startsBootWork, type BootWork } from './boot-archive.ts';
import { planCards } from './card-plan.ts';
import { diskChanges, diskFate, type DiskChanges } from './disk-names.ts';
import { cardEdits, gettyEdits } from './file-edits.ts';
import { formerNames, withFormerNames, withoutBootWork } from './former-names.ts';
import { planFstab } from './fstab-plan.ts';

export interface AdaptationRequest {
  /** As the guest ran on the old machine. */
  from: GuestDefinition;
  /** As it is to run on the new one (`convertDefinition`), kernel and initial RAM disk filled in. */
  to: GuestDefinition;
  /** Null if nobody could look into the guest: only what the definitions say is adapted. */
  system: GuestSystem | null;
  /** For each disk of `from`, its index in `to`; null for one that does not come along. In the same order unless given. */
  newDiskIndexes?: readonly (number | null)[];
  /** False: nothing is done at boot, even if the new machine supplies the initial RAM disk. */
  useBoot?: boolean;
}

/** What a guest needs under its new hypervisor, beyond its definition (doc/adaptation.md). */
export interface Adaptation {
  /** To be appended to a copy of the initial RAM disk of `to`; null if nothing is to do at boot. */
  bootArchive: Uint8Array | null;
  /** Changes on the copy of the root disk: what cannot be done at boot. */
  edits: readonly FileEdit[];
  /** The kernel's command line: that of `to`, and what starts the work at boot. */
  commandLine: readonly string[];
  /** All of it, a sentence for each change. */
  changes: readonly string[];
  /** What vmferry does not change, and what may go wrong then. */
  warnings: readonly string[];
}

/** Plans all that a guest needs to run under another hypervisor as it did before. Pure. */
export function planAdaptation(request: AdaptationRequest): Adaptation {
  const { from, to, system } = request;
  const changed = diskChanges(from, to, request.newDiskIndexes);
  const disks = withFormerNames(changed, from.commandLine);
  const isKernelGiven = (to.boot ?? 'kernel') === 'kernel' && to.driver !== 'offline';
  const mayUseBoot = (request.useBoot ?? true) && isKernelGiven && to.initrd !== null;
  // If nobody could look into the guest, what an earlier move added to its initial RAM disk is still needed.
  const keepsWork = system === null && to.initrd === from.initrd;
  const given = keepsWork ? to.commandLine : withoutBootWork(to.commandLine);
  const rooted = isKernelGiven ? withRoot(from, given, disks) : given;
  const fstab = planFstab(system, disks, mayUseBoot, from.driver !== to.driver);
  const cards = system === null ? { cards: [], warnings: [] } : planCards(from, to, system);
  const getty = system === null ? noEdits : gettyEdits(system, consoleOf(from), to.console);
  const named = system === null || mayUseBoot ? noEdits : cardEdits(system, cards.cards);
  const work: BootWork = { disks: fstab.disks, links: fstab.links, cards: mayUseBoot ? cards.cards : [] };
  const boots = mayUseBoot && !isBootWorkEmpty(work);
  const masks = fstab.commandLine.filter((argument) => !rooted.includes(argument));
  const names = fstab.disks.length === 0 ? [] : [formerNames(fstab.disks)];
  const commandLine = [...rooted, ...(boots ? [startsBootWork, ...names] : []), ...masks];
  return {
    bootArchive: boots ? bootArchive(work) : null,
    edits: [...fstab.edits, ...getty.edits, ...named.edits],
    commandLine,
    changes: [
      ...(rooted.length > given.length ? [`The kernel is told its root disk: ${rooted[0]}.`] : []),
      ...fstab.changes,
      ...getty.changes,
      ...named.changes,
      ...work.cards.map(
        ({ mac, name }) => `At boot the network card${mac === null ? '' : ` ${mac}`} is named ${name}.`,
      ),
    ],
    warnings: [
      ...(system === null && from.driver !== to.driver ? [notSeen] : []),
      ...fstab.warnings,
      ...(isKernelGiven || system === null ? [] : bootMenuWarnings(system, disks)),
      ...cards.warnings,
    ],
  };
}

const notSeen =
  "If the guest's /etc/fstab, /etc/inittab or network configuration has names of devices, they may be others now.";
const noEdits = { edits: [], changes: [] };

function consoleOf(definition: GuestDefinition): string | undefined {
  return definition.console ?? (definition.driver === 'uml' ? 'tty0' : undefined);
}

/** User Mode Linux takes the first disk unless it is told another; other kernels have to be told. */
function withRoot(
  from: GuestDefinition,
  commandLine: readonly string[],
  disks: DiskChanges,
): readonly string[] {
  const [first] = disks.present;
  const isTold = commandLine.some((argument) => argument.startsWith('root='));
  return from.driver !== 'uml' || isTold || first === undefined
    ? commandLine
    : [`root=/dev/${first}`, ...commandLine];
}

/** vmferry does not change a guest's boot menu: the guest's own programs write it. */
function bootMenuWarnings({ bootMenuRoots }: GuestSystem, disks: DiskChanges): string[] {
  return bootMenuRoots.flatMap((root) => {
    const name = root.startsWith('/dev/') ? root.slice('/dev/'.length) : null;
    const fate = name === null ? null : diskFate(name, disks);
    if (fate === null || fate.kind === 'same') return [];
    const now = fate.kind === 'absent' ? 'is not there' : `is /dev/${fate.name} there`;
    return [
      `The guest's boot menu names its root file system ${root}, which ${now}: it may not boot. Name it there by UUID= first.`,
    ];
  });
}

import type { KernelNeeds } from '../../../guest/preflight/check-kernel.ts';
import { contentsOf, type ImageLayout } from '../../../image/probe.ts';

/** What the guest's disks need of a kernel that the new machine supplies. A disk that could not be opened is left out. */
export function kernelNeeds(
  disks: readonly ({ layout: Pick<ImageLayout, 'regions'> } | null)[],
  system: { kernels: readonly { version: string }[] } | null,
): KernelNeeds {
  const kinds = disks.flatMap((disk) =>
    disk === null ? [] : contentsOf(disk.layout).map(({ kind }) => kind),
  );
  return {
    fileSystems: [...new Set(kinds)].slice(0, 64),
    modulesOf: system === null ? null : system.kernels.map(({ version }) => version).slice(0, 64),
  };
}

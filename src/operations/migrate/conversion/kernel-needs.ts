import type { KernelNeeds } from '../../../guest/preflight/check-kernel.ts';

/** What the guest's disks need of a kernel that the new machine supplies. A disk that could not be opened is left out. */
export function kernelNeeds(
  disks: readonly ({ layout: { regions: readonly { kind: string }[] } } | null)[],
  system: { kernels: readonly { version: string }[] } | null,
): KernelNeeds {
  const kinds = disks.flatMap((disk) => disk?.layout.regions.map(({ kind }) => kind) ?? []);
  return {
    fileSystems: [...new Set(kinds)].slice(0, 64),
    modulesOf: system === null ? null : system.kernels.map(({ version }) => version).slice(0, 64),
  };
}

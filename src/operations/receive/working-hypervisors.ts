import type { Context } from '../../events.ts';
import type { HypervisorKind } from '../../guest/definition-language.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';

/** The hypervisors of this machine that could boot a small guest now, if the guest's own could not. */
export async function workingHypervisors(
  { driver: own }: Pick<GuestDefinition, 'driver'>,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<HypervisorKind[]> {
  const ownDriver = drivers.find(({ kind }) => kind === own);
  if (ownDriver !== undefined && (await isWorking(ownDriver, context))) return [];
  const working: HypervisorKind[] = [];
  for (const driver of drivers) {
    const { kind } = driver;
    if (kind !== own && kind !== 'offline' && (await isWorking(driver, context))) working.push(kind);
  }
  return working;
}

async function isWorking(driver: GuestDriver, context: Context): Promise<boolean> {
  // Less than any guest that moves has, and no disk or kernel that could be missing.
  const small: GuestDefinition = {
    name: 'vmferry-probe',
    driver: driver.kind,
    memoryBytes: 64 * 2 ** 20,
    cpuCount: 1,
    kernel: null,
    initrd: null,
    disks: [],
    commandLine: [],
    ...(['qemu', 'libvirt'].includes(driver.kind) && { boot: 'firmware' as const }),
  };
  try {
    const completed = await driver.complete(small, context);
    const problems = await driver.checkBootable(completed, context);
    return problems.every(({ code }) => code !== 'hypervisor-missing');
  } catch {
    context.signal.throwIfAborted();
    return false;
  }
}

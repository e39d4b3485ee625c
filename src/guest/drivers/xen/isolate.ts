import type { GuestDefinition } from '../../definition.ts';
import type { Isolation } from '../../guest-driver.ts';

/**
 * See `GuestDriver.isolate`. The copy gets a plain configuration: without network cards, drives, devices of the machine passed
 * through, and whatever else the guest's own file says.
 */
export function isolateXen(definition: GuestDefinition, { name, copies }: Isolation): GuestDefinition {
  const disks = definition.disks.flatMap((disk, index) => {
    const path = copies[index];
    return path === undefined ? [] : [{ ...disk, path }];
  });
  const isolated: GuestDefinition = { ...definition, name, disks };
  if (isolated.autostart !== undefined) isolated.autostart = false;
  for (const field of ['networkCards', 'drives', 'uuid', 'native'] as const) delete isolated[field];
  return isolated;
}

import type { GuestDefinition } from '../../definition.ts';
import type { Isolation } from '../../guest-driver.ts';

/**
 * See `GuestDriver.isolate`. The copy is started from the neutral fields alone: no network card, no drive, and nothing of
 * the guest's own arguments, which may reach anything of this machine.
 */
export function isolateQemu(definition: GuestDefinition, { name, copies }: Isolation): GuestDefinition {
  const {
    native: _native,
    networkCards: _cards,
    drives: _drives,
    uuid: _uuid,
    autostart: _start,
    ...rest
  } = definition;
  const disks = definition.disks.flatMap((disk, index) => {
    const path = copies[index];
    return path === undefined ? [] : [{ ...disk, path }];
  });
  return { ...rest, name, disks };
}

import { randomUUID } from 'node:crypto';
import type { GuestDefinition } from '../../definition.ts';
import type { Isolation } from '../../guest-driver.ts';
import { domainTypeOf } from './domain/domain-type.ts';
import { writeDomain } from './domain/write-domain.ts';

/**
 * See `GuestDriver.isolate`. The copy is a plain domain: of the guest's own only its processors, memory, firmware, kernel and
 * disks. It has no network, no drives, and no device of this machine.
 */
export function isolateDomain(definition: GuestDefinition, { name, copies }: Isolation): GuestDefinition {
  const { networkCards, drives, native, autostart, ...rest } = definition;
  void [networkCards, drives, autostart];
  const copy: GuestDefinition = {
    ...rest,
    name,
    uuid: randomUUID(),
    disks: definition.disks.flatMap((disk, index) => {
      const path = copies[index];
      return path === undefined ? [] : [{ ...disk, path }];
    }),
  };
  const type = native === undefined ? 'qemu' : domainTypeOf(native.text);
  return { ...copy, native: { text: writeDomain(copy, type, 'destroy'), beyond: [] } };
}

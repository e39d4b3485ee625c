import { Failure } from '../failure.ts';
import type { DriverKind } from './definition.ts';
import type { GuestDriver } from './guest-driver.ts';

/** The driver of that kind. Throws Failure `hypervisor-missing` when this program has no such driver. */
export function requireDriver(drivers: readonly GuestDriver[], kind: DriverKind): GuestDriver {
  const driver = drivers.find((candidate) => candidate.kind === kind);
  if (driver === undefined)
    throw new Failure('hypervisor-missing', `This vmferry cannot run ${kind} guests.`);
  return driver;
}

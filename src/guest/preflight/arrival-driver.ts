import type { Context } from '../../events.ts';
import type { GuestDefinition } from '../definition.ts';
import type { GuestDriver } from '../guest-driver.ts';

/** A hypervisor that keeps more of a guest on its machine than the disks and the definition. */
export interface ArrivalDriver extends GuestDriver {
  /** Reports what a guest that comes to this machine will find here and cannot bring along. Changes nothing. */
  tellOfArrival(definition: GuestDefinition, context: Context): Promise<void>;
}

export function isArrivalDriver(driver: GuestDriver): driver is ArrivalDriver {
  return 'tellOfArrival' in driver;
}

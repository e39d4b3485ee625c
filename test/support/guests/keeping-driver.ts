import { Failure } from '../../../src/failure.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import type { KeepingDriver } from '../../../src/guest/guest-driver.ts';
import { fakeDriver, type FakeDriver } from './fake-driver.ts';

interface Kept {
  definition: GuestDefinition;
  autostart: boolean;
  isFenced: boolean;
}

/** A fake hypervisor that keeps the definitions of guests. */
export interface FakeKeepingDriver extends FakeDriver, KeepingDriver {
  kept: Map<string, Kept>;
  /** What it was told: `fence web`, `keep web`, … */
  orders: string[];
}

/** The given guests are kept from the beginning, and do not run. */
export function keepingDriver(...guests: readonly GuestDefinition[]): FakeKeepingDriver {
  const driver = fakeDriver();
  const kept = new Map<string, Kept>();
  const orders: string[] = [];
  const add = (definition: GuestDefinition) =>
    kept.set(definition.name, { definition, autostart: definition.autostart ?? false, isFenced: false });
  const known = ({ name }: GuestDefinition): Kept => {
    const found = kept.get(name);
    if (found === undefined) throw new Failure('guest-not-found', `${name} is not kept.`);
    return found;
  };
  for (const guest of guests) add(guest);
  return {
    ...driver,
    kept,
    orders,
    listKept: () =>
      Promise.resolve(
        [...kept.values()]
          .filter(({ definition }) => !driver.running.has(definition.name))
          .map(({ definition }) => ({ definition })),
      ),
    keep: async (definition) => {
      orders.push(`keep ${definition.name}`);
      if (kept.has(definition.name))
        throw new Failure('target-exists', `${definition.name} is known already.`);
      add(definition);
    },
    drop: async ({ name }) => {
      orders.push(`drop ${name}`);
      kept.delete(name);
    },
    setAutostart: async (definition, isOn) => {
      known(definition).autostart = isOn;
    },
    fence: async (definition) => {
      orders.push(`fence ${definition.name}`);
      const guest = known(definition);
      // A fence that was cut short has switched it off already.
      const autostart = guest.autostart || (guest.isFenced && definition.autostart === true);
      guest.isFenced = true;
      guest.autostart = false;
      return String(autostart);
    },
    unfence: async (definition, fence) => {
      orders.push(`unfence ${definition.name}`);
      const guest = known(definition);
      guest.isFenced = false;
      guest.autostart = fence === 'true';
    },
  };
}

import type { Context } from '../events.ts';
import type { Failure } from '../failure.ts';
import type { GuestDefinition } from '../guest/definition.ts';
import { requireDriver } from '../guest/require-driver.ts';
import type { GuestSources } from '../guest/resolve-guest.ts';
import type { OpenedStore } from '../repository/store-keys.ts';

/**
 * What keeps this machine from booting a guest as a store describes it; empty when it can. Whoever can write to a store
 * that is not encrypted can have it name any program as the kernel: it is then started only if it is one for certain, or if
 * a guest of this machine runs with it.
 */
export async function checkStoredBootable(
  definition: GuestDefinition,
  { key }: Pick<OpenedStore, 'key'>,
  sources: GuestSources,
  context: Context,
): Promise<Failure[]> {
  const isVouchedFor = key !== null || (await knownKernels(sources, context)).has(definition.kernel);
  return requireDriver(sources.drivers, definition.driver).checkBootable(definition, context, isVouchedFor);
}

async function knownKernels(
  { drivers, records }: GuestSources,
  context: Context,
): Promise<Set<GuestDefinition['kernel']>> {
  const running = await Promise.all(drivers.map((driver) => driver.list(context)));
  const known = [...running.flat(), ...(await records.list())];
  return new Set(known.flatMap(({ definition: { kernel } }) => kernel ?? []));
}

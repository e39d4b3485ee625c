import type { Context } from '../events.ts';
import { isKeepingDriver } from './guest-driver.ts';
import type { GuestRecord } from './guest-record.ts';
import type { GuestSources } from './known-definitions.ts';
import type { NewGuestRecord } from './record-store.ts';
import { requireDriver } from './require-driver.ts';

/*
 * A guest that went to another machine is fenced by its record: vmferry does not start it here. If its hypervisor keeps the
 * guest, that could start it, too, by hand or with the machine. So the hypervisor fences it as well. What puts that back exactly is in
 * the record before the guest may start anywhere else.
 */

/**
 * Writes the record of a guest that is fenced from now on, and has the hypervisor fence it, if it knows the guest. The guest must not
 * run. May be called again after it was cut short.
 */
export async function raiseFence(
  { fence: _fence, ...record }: NewGuestRecord,
  { drivers, records }: GuestSources,
  context: Context,
): Promise<void> {
  const { definition } = record;
  const driver = requireDriver(drivers, definition.driver);
  const isKept =
    isKeepingDriver(driver) &&
    (await driver.listKept(context)).some((kept) => kept.definition.name === definition.name);
  if (!isKept) {
    await records.write(record);
    return;
  }
  // Killed from here on, a revert finds that the fence has begun.
  await records.write({ ...record, fence: { text: null } });
  const text = await driver.fence(definition, context);
  await records.write({ ...record, fence: { text } });
}

/** Has the hypervisor put back what it was before `raiseFence`. The caller then writes another record. May be called again. */
export async function lowerFence(
  record: Pick<GuestRecord, 'definition' | 'fence'> | null,
  { drivers }: Pick<GuestSources, 'drivers'>,
  context: Context,
): Promise<void> {
  if (record?.fence === undefined) return;
  const { definition, fence } = record;
  const driver = requireDriver(drivers, definition.driver);
  if (!isKeepingDriver(driver)) return;
  // A fence that was cut short is completed first: then it is known what to put back.
  const text = fence.text ?? (await driver.fence(definition, context));
  await driver.unfence(definition, text, context);
}

import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isImageOnly, type GuestDefinition } from '../../guest/definition.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { knownDefinitions, type GuestSources } from '../../guest/known-definitions.ts';
import type { OpenedStore } from '../../repository/keys/store-keys.ts';

/** Throws Failure `guest-unsupported` for the snapshot of an image that no guest used: it cannot be booted. */
export function refuseImageOnly(
  { guest, definition }: { guest: string; definition: GuestDefinition },
  advice: string,
): void {
  if (!isImageOnly(definition)) return;
  const message = `${guest} cannot be booted: the snapshot is of a disk image, not of a guest.`;
  throw new Failure('guest-unsupported', message, { advice });
}

/**
 * Everything that keeps this machine from booting a guest as a store describes it; empty when nothing does. Anyone who can
 * write to an unencrypted store can make it name any program as the kernel. Such a program is started only if it is
 * certainly a kernel, or if a guest of this machine runs with it.
 */
export async function checkStoredBootable(
  definition: GuestDefinition,
  { key }: Pick<OpenedStore, 'key'>,
  sources: GuestSources,
  context: Context,
): Promise<Failure[]> {
  return checkForeignBootable(definition, key !== null, sources, context);
}

/**
 * The same for any definition that was not made here.
 * @param isTrusted whether it may name any program as the kernel
 * @param coming see `GuestDriver.checkBootable`
 */
export async function checkForeignBootable(
  definition: GuestDefinition,
  isTrusted: boolean,
  sources: GuestSources,
  context: Context,
  coming: readonly string[] = [],
): Promise<Failure[]> {
  const isVouchedFor = isTrusted || (await isKernelInUse(definition.kernel, sources, context));
  const driver = requireDriver(sources.drivers, definition.driver);
  return driver.checkBootable(definition, context, isVouchedFor, coming);
}

async function isKernelInUse(
  wanted: GuestDefinition['kernel'],
  sources: GuestSources,
  context: Context,
): Promise<boolean> {
  if (wanted === null) return false;
  return (await knownDefinitions(sources, context)).some(({ kernel }) => kernel === wanted);
}

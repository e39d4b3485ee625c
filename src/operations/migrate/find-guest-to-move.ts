import type { Context } from '../../events.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { Resources } from '../../pipeline/resources.ts';
import { isArchive, openArchive } from '../unpack/open-guest.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { MigrateRequest } from './migration-report.ts';

/** Whether what is to be moved has to be unpacked first, which may take long. */
export async function needsUnpacking(
  { guest, scratch, imageFormat }: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<boolean> {
  return scratch !== undefined && imageFormat === undefined && isArchive(guest, dependencies, context);
}

/**
 * Throws what `openArchive` and `resolveGuest` throw.
 * @param unpacks whether `needsUnpacking`
 * @param held removes what was unpacked
 */
export async function findGuestToMove(
  { guest: name, imageFormat, scratch = null }: MigrateRequest,
  unpacks: boolean,
  dependencies: MigrateDependencies,
  held: Resources,
  context: Context,
): Promise<ResolvedGuest> {
  if (!unpacks) return resolveGuest(name, dependencies, context, imageFormat);
  return held.hold(await openArchive(name, scratch, dependencies, context)).guest;
}

import type { Context } from '../../events.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { Resources } from '../../pipeline/resources.ts';
import type { InputSource } from '../unpack/input.ts';
import { findArchive, openArchive } from '../unpack/open-guest.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { MigrateRequest } from './migration-report.ts';

/** What has to be unpacked before it can be moved, which may take long; null if nothing has. */
export async function archiveToMove(
  request: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<InputSource | null> {
  return request.scratch === undefined ? null : findArchive(request.guest, request, dependencies, context);
}

/**
 * Throws what `openArchive` and `resolveGuest` throw.
 * @param archive as `archiveToMove` has found it
 * @param held removes what was unpacked
 */
export async function findGuestToMove(
  { guest: name, imageFormat, scratch = null }: MigrateRequest,
  archive: InputSource | null,
  dependencies: MigrateDependencies,
  held: Resources,
  context: Context,
): Promise<ResolvedGuest> {
  if (archive === null) return resolveGuest(name, dependencies, context, imageFormat);
  return held.hold(await openArchive(archive, scratch, dependencies, context)).guest;
}

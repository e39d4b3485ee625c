import { existsSync } from 'node:fs';
import type { Context } from '../../events.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { isDiskOfGuest } from '../../guest/disks/image-of-guest.ts';
import { findGuest, resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { ImageFormat } from '../../image/formats/image-format.ts';
import type { Machine } from '../../system/machine.ts';
import type { FilterDependencies } from './filters.ts';
import { isPacked } from './is-packed.ts';
import { unpackGuest } from './unpacked-guest.ts';

export interface OpenGuestOptions {
  /** Of an image: then it is taken as it is. */
  imageFormat?: ImageFormat;
  /** Where archives are unpacked; null: beside them. */
  scratch: string | null;
}

export interface OpenGuestDependencies extends GuestDependencies, FilterDependencies {
  machine: () => Machine;
}

/** Disposing of it removes what was unpacked. */
export interface OpenedGuest extends AsyncDisposable {
  guest: ResolvedGuest;
}

/**
 * Finds what a person named, as `resolveGuest` does; or unpacks it, if it is the path of an archive or of a compressed image. Such a guest
 * does not run, and this machine remembers nothing of it. Throws what `resolveGuest` and `unpackGuest` throw.
 */
export async function openGuest(
  name: string,
  { imageFormat, scratch }: OpenGuestOptions,
  dependencies: OpenGuestDependencies,
  context: Context,
): Promise<OpenedGuest> {
  if (imageFormat === undefined && (await isArchive(name, dependencies, context)))
    return openArchive(name, scratch, dependencies, context);
  const guest = await resolveGuest(name, dependencies, context, imageFormat);
  return { guest, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Unpacks what `isArchive` is true of. Throws what `unpackGuest` throws. @param scratch null: beside the archive */
export async function openArchive(
  name: string,
  scratch: string | null,
  dependencies: OpenGuestDependencies,
  context: Context,
): Promise<OpenedGuest> {
  const unpacked = await unpackGuest(name, scratch, dependencies.machine(), dependencies, context);
  const { definition, archived } = unpacked;
  return {
    guest: { definition, archived, running: null, record: null },
    [Symbol.asyncDispose]: () => unpacked[Symbol.asyncDispose](),
  };
}

/** Whether the name is that of a file to unpack. An image of a guest never is, whatever its first bytes are; and a guest of that name comes before a file. */
export async function isArchive(
  name: string,
  sources: GuestDependencies,
  context: Context,
): Promise<boolean> {
  if (!existsSync(name) || !(await isPacked(name))) return false;
  if (!name.includes('/') && (await findGuest(name, sources, context)) !== null) return false;
  return !(await isDiskOfGuest(name, sources, context));
}

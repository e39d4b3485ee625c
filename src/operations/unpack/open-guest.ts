import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Context } from '../../events.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { isDiskOfGuest } from '../../guest/disks/image-of-guest.ts';
import { findGuest, resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { ImageFormat } from '../../image/formats/image-format.ts';
import type { Machine } from '../../system/machine.ts';
import type { InputSource } from './input.ts';
import { isPacked } from './is-packed.ts';
import { unpackGuest, type UnpackDependencies } from './unpacked-guest.ts';

/** What a person named that may be an archive on another machine, or standard input, by the text that was typed. */
export type ArchivesElsewhere = ReadonlyMap<string, InputSource>;

export interface OpenGuestOptions {
  /** Of an image: then it is taken as it is. */
  imageFormat?: ImageFormat;
  /** Where archives are unpacked; null: beside them. */
  scratch: string | null;
  elsewhere?: ArchivesElsewhere;
}

export interface OpenGuestDependencies extends GuestDependencies, UnpackDependencies {
  machine: () => Machine;
}

/** Disposing of it removes what was unpacked. */
export interface OpenedGuest extends AsyncDisposable {
  guest: ResolvedGuest;
}

/**
 * Finds what a person named, as `resolveGuest` does; or unpacks it, if it is an archive or a compressed image. Such a guest
 * does not run, and this machine remembers nothing of it. Throws what `resolveGuest` and `unpackGuest` throw.
 */
export async function openGuest(
  name: string,
  options: OpenGuestOptions,
  dependencies: OpenGuestDependencies,
  context: Context,
): Promise<OpenedGuest> {
  const { imageFormat, scratch } = options;
  const archive = await findArchive(name, options, dependencies, context);
  if (archive !== null) return openArchive(archive, scratch, dependencies, context);
  const guest = await resolveGuest(name, dependencies, context, imageFormat);
  return { guest, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Unpacks what `findArchive` has found. Throws what `unpackGuest` throws. @param scratch null: beside the archive */
export async function openArchive(
  archive: InputSource,
  scratch: string | null,
  dependencies: OpenGuestDependencies,
  context: Context,
): Promise<OpenedGuest> {
  const unpacked = await unpackGuest(archive, scratch, dependencies.machine(), dependencies, context);
  const { definition, archived } = unpacked;
  return {
    guest: { definition, archived, running: null, record: null },
    [Symbol.asyncDispose]: () => unpacked[Symbol.asyncDispose](),
  };
}

/**
 * The archive with that name; null if the name is of something else. An image of a guest is no archive, whatever its first bytes are. A
 * guest of that name comes before a file of this machine, and both come before a file of another one.
 */
export async function findArchive(
  name: string,
  { imageFormat, elsewhere }: Pick<OpenGuestOptions, 'imageFormat' | 'elsewhere'>,
  sources: GuestDependencies,
  context: Context,
): Promise<InputSource | null> {
  if (imageFormat !== undefined) return null;
  const other = isOfHypervisor(name, sources) ? null : (elsewhere?.get(name) ?? null);
  const isHere = existsSync(name);
  if (isHere ? !(await isPacked(name)) : other === null) return null;
  if (!name.includes('/') && (await findGuest(name, sources, context)) !== null) return null;
  if (!isHere) return other;
  return (await isDiskOfGuest(name, sources, context)) ? null : { path: resolve(name), host: null };
}

/** `xen:web` is a guest, even if there is none. */
function isOfHypervisor(name: string, { drivers }: GuestDependencies): boolean {
  return !name.includes('/') && drivers.some(({ kind }) => name.startsWith(`${kind}:`));
}

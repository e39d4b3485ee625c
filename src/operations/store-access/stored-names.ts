import { basename, resolve } from 'node:path';
import { Failure } from '../../failure.ts';
import { isGuestName } from '../../guest/definition.ts';

/** The name under which a store is to keep a guest. Throws Failure `usage` for what cannot be one. */
export function checkStoredName(name: string): string {
  if (isGuestName(name)) return name;
  throw new Failure('usage', `${JSON.stringify(name)} cannot be the name of a guest.`, {
    advice: 'It must not have a slash in it, nor begin with a dot or a dash; such as: mail-disk.img',
  });
}

/**
 * Throws Failure `usage` when a guest and another one of the same command would have the same name in a store. Both are as
 * they were typed: names, and paths of images, which are kept under their file names.
 * @param advice how to give a name
 */
export function refuseSameNames(guest: string, all: readonly string[], advice: string): void {
  const name = nameOf(guest);
  const other = all.find((one) => nameOf(one) === name && placeOf(one) !== placeOf(guest));
  if (other === undefined) return;
  throw new Failure('usage', `${guest} and ${other} would both be kept under the name ${name}.`, { advice });
}

function nameOf(guest: string): string {
  return guest.includes('/') ? basename(resolve(guest)) : guest;
}

function placeOf(guest: string): string {
  return guest.includes('/') ? resolve(guest) : guest;
}

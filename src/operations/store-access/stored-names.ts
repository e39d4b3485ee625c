import { basename, resolve } from 'node:path';
import { Failure } from '../../failure.ts';
import { isGuestName } from '../../guest/definition.ts';

/** Checks a guest's name for a store, and returns it. Throws Failure `usage` for an invalid name. */
export function checkStoredName(name: string): string {
  if (isGuestName(name)) return name;
  throw new Failure('usage', `${JSON.stringify(name)} cannot be the name of a guest.`, {
    advice: 'It must not contain a slash, or begin with a dot or a dash. Example: mail-disk.img',
  });
}

/**
 * Throws Failure `usage` if two guests of one command would get the same name in a store. Guests are given as they were typed: as
 * names, or as paths of images, which are stored under their file names.
 * @param advice how to give another name
 */
export function refuseSameNames(guest: string, all: readonly string[], advice: string): void {
  const name = nameOf(guest);
  const other = all.find((one) => nameOf(one) === name && placeOf(one) !== placeOf(guest));
  if (other === undefined) return;
  throw new Failure('usage', `${guest} and ${other} would both be stored under the name ${name}.`, {
    advice,
  });
}

function nameOf(guest: string): string {
  return guest.includes('/') ? basename(resolve(guest)) : guest;
}

function placeOf(guest: string): string {
  return guest.includes('/') ? resolve(guest) : guest;
}

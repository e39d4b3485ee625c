import { Failure } from '../failure.ts';

/**
 * For something in a store that vmferry never makes: a symbolic link, a FIFO, a device, or a folder in place of a file. vmferry
 * neither reads nor changes it: otherwise anybody who can put a link into the store could have any file read, replaced or deleted.
 * @param what for example ‘a symbolic link’
 */
export function strangeEntry(location: string, name: string, what: string): Failure {
  return new Failure('store-damaged', `${name} in ${location} is ${what}, so vmferry leaves it alone.`, {
    advice:
      'vmferry makes only ordinary files and folders in a store. Find out who put this there, and remove it. If you moved a folder elsewhere on purpose, use a bind mount (mount --bind) instead of a link.',
  });
}

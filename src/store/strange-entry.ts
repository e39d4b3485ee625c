import { Failure } from '../failure.ts';

/**
 * Something in a store that vmferry never makes: a symbolic link, a FIFO, a device, or a folder where a file should be. It is
 * neither read nor changed: whoever can put a link into a store could otherwise have any file read, replaced or deleted.
 * @param what what it is: ‘a symbolic link’
 */
export function strangeEntry(location: string, name: string, what: string): Failure {
  return new Failure('store-damaged', `${name} in ${location} is ${what}, so vmferry leaves it alone.`, {
    advice:
      'vmferry makes only ordinary files and folders in a store: find out who put this there, and remove it. If you moved a folder elsewhere on purpose, use a bind mount (mount --bind) instead of a link.',
  });
}

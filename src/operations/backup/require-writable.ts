import { Failure } from '../../failure.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import { guestsFolder } from '../../repository/files/layout.ts';
import { temporaryNameFor } from '../../store/store-name.ts';

/**
 * Throws what the store refuses a new file of the guest with: before the guest has to stand still, and its disks are
 * read, for a backup that cannot be kept. Makes no folder that the store does not have: the guest may turn out to have no
 * image, or to be refused.
 * @param hasFolder the store has a folder of the guest
 */
export async function requireWritable(
  folder: GuestFolder,
  hasFolder: boolean,
  signal: AbortSignal,
): Promise<void> {
  const name = temporaryNameFor(
    hasFolder ? folder.pathOf('announced/write-check') : await besideNewFolder(folder, signal),
  );
  await folder.store.put(name, [], { signal, durable: false });
  await folder.store.remove(name, signal).catch((error: unknown) => {
    // A store that lets nobody delete takes backups all the same; readers pass over the file as over a broken upload.
    if (!(error instanceof Failure) || error.code !== 'target-not-writable') throw error;
  });
}

/** In the folder that the guest's own would be made in, or, where the store has no guest yet, in the store's own directory. */
async function besideNewFolder({ store }: GuestFolder, signal: AbortSignal): Promise<string> {
  const entries = await store.list('', signal);
  const hasGuests = entries.some(({ name }) => name === guestsFolder);
  return hasGuests ? `${guestsFolder}/write-check` : 'write-check';
}

import { Failure } from '../../failure.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import { guestsFolder } from '../../repository/files/layout.ts';
import { temporaryNameFor } from '../../store/store-name.ts';

/**
 * Throws the store's failure if it refuses new files of the guest. Called before the guest has to stand still and its
 * disks are read. Makes no new folder: the guest may still turn out to have no image, or be refused.
 * @param hasFolder whether the store has a folder of the guest
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
    // A store that forbids deletion still takes backups. Readers ignore the file, as they do a broken upload.
    if (!(error instanceof Failure) || error.code !== 'target-not-writable') throw error;
  });
}

/** The folder that the guest's folder will be made in; the store's own directory if it has no guests yet. */
async function besideNewFolder({ store }: GuestFolder, signal: AbortSignal): Promise<string> {
  const entries = await store.list('', signal);
  const hasGuests = entries.some(({ name }) => name === guestsFolder);
  return hasGuests ? `${guestsFolder}/write-check` : 'write-check';
}

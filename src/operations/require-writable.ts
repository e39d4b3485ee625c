import type { GuestFolder } from '../repository/guest-folder.ts';
import { guestsFolder } from '../repository/layout.ts';
import { temporaryNameFor } from '../store/store-name.ts';

/**
 * Throws what the store refuses a new file of the guest with: before the guest has to stand still, and its disks are
 * read, for a backup that cannot be kept.
 * @param hasFolder the store has a folder of the guest. Without one, the right to make it is what is needed; none is
 *   made for a guest that may turn out to have no image
 */
export async function requireWritable(
  folder: GuestFolder,
  hasFolder: boolean,
  signal: AbortSignal,
): Promise<void> {
  // Should its removal fail, it is one more broken upload, which readers pass over.
  const name = temporaryNameFor(
    hasFolder ? folder.pathOf('announced/write-check') : `${guestsFolder}/write-check`,
  );
  await folder.store.put(name, [], { signal, durable: false });
  await folder.store.remove(name, signal);
}

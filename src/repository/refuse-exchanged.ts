import { Failure } from '../failure.ts';
import type { ReadableStore } from '../store/store.ts';
import { markerName } from './files/layout.ts';
import { readMarker, type OpenedStore } from './keys/store-keys.ts';
import { isSealOf } from './keys/store-marker.ts';

/**
 * Checks, before a snapshot is published, that the store is still the one that was opened: data stored for
 * another store could not be read. Throws Failure `store-missing` if the marker is gone, `store-damaged` if
 * it is another marker.
 */
export async function refuseExchanged(
  store: ReadableStore,
  { id, seal }: Pick<OpenedStore, 'id' | 'seal'>,
  signal: AbortSignal,
): Promise<void> {
  const marker = await readMarker(store, signal);
  if (marker === null)
    throw new Failure(
      'store-missing',
      `The store ${store.location} is gone: its ${markerName} was removed.`,
      {
        advice: 'No snapshot was made. Check that its file system is still mounted.',
      },
    );
  const isSame =
    marker.id === id &&
    (marker.encryption === null
      ? seal.suffix === ''
      : seal.suffix !== '' && isSealOf(id, marker.encryption, seal));
  if (isSame) return;
  throw new Failure(
    'store-damaged',
    `The store ${store.location} was exchanged while this backup ran: its id was ${id}, and is now ${marker.id}.`,
    {
      advice:
        'No snapshot was made. If another machine made the store at the same moment, back up again. Otherwise find out who changed it.',
    },
  );
}

import { Failure } from '../failure.ts';
import type { BackupStore } from '../store/store.ts';
import { markerName } from './files/layout.ts';
import { readMarker, type OpenedStore } from './keys/store-keys.ts';
import { isSealOf } from './keys/store-marker.ts';

/**
 * To be called before a snapshot is published: what was stored for a store that is no longer there could not be read.
 * Throws Failure `store-missing` when the marker is gone, `store-damaged` when it is no longer the one that was opened.
 */
export async function refuseExchanged(
  store: BackupStore,
  { id, seal }: Pick<OpenedStore, 'id' | 'seal'>,
  signal: AbortSignal,
): Promise<void> {
  const marker = await readMarker(store, signal);
  if (marker === null)
    throw new Failure(
      'store-missing',
      `The store ${store.location} is gone: its ${markerName} was removed.`,
      {
        advice: 'No snapshot was made. Check that what the store lies on is still mounted.',
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
    `The store ${store.location} is another one than when this backup began: it was ${id}, and is ${marker.id}.`,
    {
      advice:
        'No snapshot was made. If another machine made the store at the same moment, back up again; else find out who changed it.',
    },
  );
}

import type { Context } from '../../events.ts';
import { whatChanged, type FoundStore } from '../../repository/store-changes.ts';
import { readMarker, type OpenedStore } from '../../repository/keys/store-keys.ts';
import { latestFirst } from '../../repository/latest.ts';
import type { StoreMarker } from '../../repository/keys/store-marker.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';
import type { ReadableStore } from '../../store/store.ts';

/**
 * Opens a store: first compares it with what this machine remembers about it, and remembers it afterwards. So the server cannot
 * replace it unnoticed by another or a plain store. Throws Failure `store-damaged` in that case, `store-missing` if a store is
 * remembered but gone, and what `open` throws.
 * @param open calls `openStore` or `initStore` for this store
 * @param refuse throws if the store is not the wanted kind; gets null if there is no store yet
 */
export async function openKnownStore(
  store: ReadableStore,
  open: () => Promise<OpenedStore>,
  memory: StoreMemory,
  context: Context,
  refuse: (marker: StoreMarker | null) => void = () => undefined,
): Promise<OpenedStore> {
  const remembered = await memory.recall(store.location);
  const marker = await readMarker(store, context.signal);
  const compare = (found: FoundStore | null) => {
    const { failure, warnings } = whatChanged(remembered, found, store.location);
    if (failure !== null) throw failure;
    for (const warning of warnings) context.report(warning);
  };
  // Compare before asking for a passphrase or making a store.
  compare(marker === null ? null : foundStore(marker.id, marker.encryption !== null));
  refuse(marker);
  const opened = await open();
  const isEncrypted = opened.key !== null;
  if (opened.id !== marker?.id || isEncrypted !== (marker.encryption !== null))
    compare(foundStore(opened.id, isEncrypted));
  await memory.remember(store.location, { id: opened.id, isEncrypted });
  return opened;
}

/**
 * Warns (`store-went-back`) of guests whose newest snapshot ever seen is gone, and remembers the newest snapshot of the others.
 */
export async function compareSnapshots(
  found: FoundStore,
  location: string,
  memory: StoreMemory,
  now: Date,
  { report }: Pick<Context, 'report'>,
): Promise<void> {
  const remembered = await memory.recall(location);
  const { failure, warnings } = whatChanged(remembered, found, location);
  if (failure !== null) throw failure;
  for (const warning of warnings) report(warning);
  const newest = new Map<string, string>();
  for (const [guest, ids] of found.snapshots) {
    const [last] = latestFirst(ids, now);
    const known = remembered?.newest.get(guest);
    // A snapshot that is gone is remembered until there is a newer one, so that the warning is repeated.
    if (last !== undefined && (known === undefined || latestFirst([last, known], now)[0] !== known))
      newest.set(guest, last);
  }
  const { id, isEncrypted } = found;
  if (newest.size > 0) await memory.remember(location, { id, isEncrypted }, newest);
}

function foundStore(id: string, isEncrypted: boolean): FoundStore {
  return { id, isEncrypted, snapshots: new Map() };
}

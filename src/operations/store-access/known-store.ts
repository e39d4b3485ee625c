import type { Context } from '../../events.ts';
import { whatChanged, type FoundStore } from '../../repository/store-changes.ts';
import { readMarker, type OpenedStore } from '../../repository/keys/store-keys.ts';
import { latestFirst } from '../../repository/latest.ts';
import type { StoreMarker } from '../../repository/keys/store-marker.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';
import type { ReadableStore } from '../../store/store.ts';

/**
 * Opens a store, but first compares it with what this machine remembers of it, and afterwards remembers it: so that a
 * server cannot show another store, or a plain one, in place of the one that was there. Throws Failure `store-damaged`
 * for those, `store-missing` when a store is remembered and none is there, and what `open` throws.
 * @param open `openStore` or `initStore` of this store
 * @param refuse throws for a store that is not what is wanted; given null where there is none yet
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
  // Before a passphrase is asked for, or a new store made.
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
 * Warns (`store-went-back`) of guests whose newest snapshot that was ever seen is gone, and remembers the newest of the
 * others.
 * @param snapshots of the guests that were looked at, the ids of all their snapshots
 */
export async function compareSnapshots(
  store: ReadableStore,
  opened: OpenedStore,
  snapshots: ReadonlyMap<string, readonly string[]>,
  memory: StoreMemory,
  now: Date,
  { report }: Pick<Context, 'report'>,
): Promise<void> {
  const isEncrypted = opened.key !== null;
  const remembered = await memory.recall(store.location);
  const found = { id: opened.id, isEncrypted, snapshots };
  const { failure, warnings } = whatChanged(remembered, found, store.location);
  if (failure !== null) throw failure;
  for (const warning of warnings) report(warning);
  const newest = new Map<string, string>();
  for (const [guest, ids] of snapshots) {
    const [last] = latestFirst(ids, now);
    const known = remembered?.newest.get(guest);
    // One that is gone is remembered until there is a newer one: a warning that was not read comes again.
    if (last !== undefined && (known === undefined || latestFirst([last, known], now)[0] !== known))
      newest.set(guest, last);
  }
  if (newest.size > 0) await memory.remember(store.location, { id: opened.id, isEncrypted }, newest);
}

function foundStore(id: string, isEncrypted: boolean): FoundStore {
  return { id, isEncrypted, snapshots: new Map() };
}

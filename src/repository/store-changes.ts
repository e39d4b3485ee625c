import type { Event } from '../events.ts';
import { Failure } from '../failure.ts';
import type { RememberedStore } from './store-memory.ts';

/** What a store shows now. */
export interface FoundStore {
  id: string;
  isEncrypted: boolean;
  /** By guest that was looked at: the ids of its snapshots. */
  snapshots: ReadonlyMap<string, readonly string[]>;
}

export interface StoreChanges {
  /** Why the store must not be used: `store-damaged`, or `store-missing`. */
  failure: Failure | null;
  warnings: Extract<Event, { type: 'warning' }>[];
}

/**
 * Compares a store with what this machine remembers about it (doc/encryption.md).
 * @param found null: there is no store
 * @param location of the store, for messages
 */
export function whatChanged(
  remembered: RememberedStore | null,
  found: FoundStore | null,
  location: string,
): StoreChanges {
  if (remembered === null) return { failure: null, warnings: [] };
  if (found === null) return { failure: gone(remembered, location), warnings: [] };
  if (remembered.isEncrypted && !found.isEncrypted)
    return {
      failure: exchanged(remembered, `The store ${location} was encrypted, and is now not encrypted.`),
      warnings: [],
    };
  if (remembered.id !== found.id) {
    const message = `The store ${location} is not the same as last time: its id was ${remembered.id}, and is now ${found.id}.`;
    return remembered.isEncrypted
      ? { failure: exchanged(remembered, message), warnings: [] }
      : { failure: null, warnings: [wentBack(message)] };
  }
  const lost = [...remembered.newest].filter(
    ([guest, snapshot]) => found.snapshots.get(guest)?.includes(snapshot) === false,
  );
  return {
    failure: null,
    warnings: lost.map(([guest, snapshot]) => wentBack(lostText(guest, snapshot, location))),
  };
}

function lostText(guest: string, snapshot: string, location: string): string {
  return (
    `The snapshot ${snapshot} of ${guest}, the newest one seen in ${location}, is gone: ` +
    'it was removed from another machine, or the server shows an old state.'
  );
}

function gone({ file }: RememberedStore, location: string): Failure {
  return new Failure('store-missing', `The store of backups at ${location} is gone.`, {
    advice: `Check that its file system is mounted. To begin a new store there, remove ${file}.`,
  });
}

/** An attacker on the server could do this to receive backups unencrypted. */
function exchanged({ file }: RememberedStore, message: string): Failure {
  return new Failure('store-damaged', message, {
    advice: `Somebody has changed the store on the server. If that was you, remove ${file}.`,
  });
}

function wentBack(message: string): Extract<Event, { type: 'warning' }> {
  return { type: 'warning', code: 'store-went-back', message };
}

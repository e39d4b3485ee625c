import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isGuestName } from '../../guest/definition.ts';
import { GuestFolder } from '../../repository/guest-folder.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import { guestsFolder } from '../../repository/files/layout.ts';
import {
  initStore,
  openStore,
  type InitOptions,
  type OpenedStore,
  type PassphraseSource,
} from '../../repository/keys/store-keys.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';
import type { BackupStore, ReadableStore } from '../../store/store.ts';
import { forgivingMemory } from './forgiving-memory.ts';
import { compareSnapshots, openKnownStore } from './known-store.ts';
import { refuseUnencrypted, type SecretGiven } from './refuse-unencrypted.ts';

export interface SessionOptions {
  passphrase: PassphraseSource;
  memory: StoreMemory;
  /** Shows which snapshots are dated in the future; this machine's clock unless given. */
  now?: () => Date;
  /** For `refuseUnencrypted`; `no` unless given. */
  secretGiven?: SecretGiven;
  /** Set if the store is to receive backups; null unless given. */
  forBackups?: {
    /** Refuse a plain store. */
    mustBeEncrypted: boolean;
  } | null;
}

/** The part of a session that reads: it gives no way to change the store. */
export interface ReadSession extends Pick<StoreSession, 'opened' | 'now' | 'guests' | 'saw'> {
  readonly store: ReadableStore;
  folder: (guest: string) => GuestReader;
}

const systemClock = () => new Date();

/** An open store of backups. Its guests' folders can be read and written. */
export class StoreSession {
  readonly store: BackupStore;
  readonly opened: OpenedStore;
  readonly now: () => Date;
  readonly #memory: StoreMemory;

  private constructor(store: BackupStore, opened: OpenedStore, memory: StoreMemory, now: () => Date) {
    this.now = now;
    this.store = store;
    this.opened = opened;
    this.#memory = memory;
  }

  /** Throws what `openKnownStore`, `refuseUnencrypted` and `openStore` throw. */
  static async open(
    store: BackupStore,
    { passphrase, memory: given, secretGiven = 'no', forBackups = null, now = systemClock }: SessionOptions,
    context: Context,
  ): Promise<StoreSession> {
    const memory = forgivingMemory(given, forBackups === null, context);
    const open = () => openStore(store, passphrase, context.signal);
    const opened = await openKnownStore(store, open, memory, context, (marker) =>
      refuseUnencrypted(marker, forBackups?.mustBeEncrypted ?? false, secretGiven, store.location),
    );
    return new StoreSession(store, opened, memory, now);
  }

  /** Makes a store. Throws what `openKnownStore` and `initStore` throw. */
  static async make(
    store: BackupStore,
    { passphrase, memory: given }: Pick<SessionOptions, 'passphrase' | 'memory'>,
    init: InitOptions,
    context: Context,
  ): Promise<StoreSession> {
    const memory = forgivingMemory(given, false, context);
    const make = () => initStore(store, init, passphrase, context.signal);
    const opened = await openKnownStore(store, make, memory, context);
    return new StoreSession(store, opened, memory, init.now);
  }

  folder(guest: string): GuestFolder {
    if (!isGuestName(guest))
      throw new Failure('usage', `‘${guest}’ is not the name of a guest.`, {
        advice: 'vmferry list STORE shows the guests that the store has.',
      });
    return new GuestFolder(this.store, guest, this.opened.seal);
  }

  /**
   * The names of the guests that have a folder in the store, sorted. A folder that is a link is included: operations on it fail
   * with `store-damaged`, instead of finding no such guest.
   */
  async guests(signal: AbortSignal): Promise<string[]> {
    const entries = await this.store.list(guestsFolder, signal);
    const names = entries
      .filter(({ isFolder, isStrange, name }) => (isFolder || isStrange === true) && isGuestName(name))
      .map(({ name }) => name);
    return names.toSorted();
  }

  /**
   * Compares the snapshots of guests with those seen before (warning `store-went-back`), and remembers the newest.
   * @param snapshots by guest that was looked at: the ids of all its snapshots
   */
  async saw(snapshots: ReadonlyMap<string, readonly string[]>, context: Context): Promise<void> {
    const { id, key } = this.opened;
    const found = { id, isEncrypted: key !== null, snapshots };
    await compareSnapshots(found, this.store.location, this.#memory, this.now(), context);
  }

  /** Forgets the snapshots seen of a guest. They were deleted on purpose, so there will be no warning. */
  async forgot(guest: string): Promise<void> {
    const { id, key } = this.opened;
    const store = { id, isEncrypted: key !== null };
    await this.#memory.remember(this.store.location, store, new Map([[guest, null]]));
  }
}

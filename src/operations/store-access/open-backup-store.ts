import { resolve } from 'node:path';
import { pause } from '../../pipeline/polling.ts';
import type { Context } from '../../events.ts';
import type { RateLimit } from '../../rate-limit.ts';
import { whatChanged } from '../../repository/store-changes.ts';
import { noStore } from '../../repository/keys/store-keys.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';
import { reconnectingStore } from '../../store/reconnecting-store.ts';
import type { ConnectOptions, SshConnection } from '../../store/sftp/ssh-connection.ts';
import type { BackupStore, PlacedStore } from '../../store/store.ts';
import { refuseLimitWithoutLine } from './refuse-limit.ts';

/** Where a store of backups is. */
export type StoreLocation =
  | { kind: 'directory'; path: string }
  | {
      kind: 'sftp';
      /** As for `ssh`: HOST or USER@HOST. */
      destination: string;
      /** null: the port of the ssh configuration. */
      port: number | null;
      /** Absolute, or relative to the directory in which logins begin; `.` is that directory itself. */
      path: string;
    };

export interface OpenStoreOptions {
  /** An ssh_config(5) file to use instead of the user's own. */
  sshConfigFile: string | null;
  /** For what goes over the line to the store; unlimited unless given. */
  limitRate?: RateLimit | null;
  /** Make the store's directory if it is missing, but none above it, and not if a store is remembered there. */
  create: boolean;
  /** Called while vmferry waits for the other side, to do other work meanwhile. */
  meanwhile?: () => void;
}

export interface OpenStoreDependencies {
  openDirectory: (directory: string) => PlacedStore;
  connect: (destination: string, options: ConnectOptions, context: Context) => Promise<SshConnection>;
  /** What this machine remembers about stores. */
  memory: Pick<StoreMemory, 'recall'>;
}

/** Each operation waits some six minutes for a lost connection to come back. */
const RECONNECT_WAITS_MS = [1000, 5000, 15_000, 30_000, 60_000, 120_000, 120_000];

/**
 * Opens a store of backups; disposing it closes its connection. A lost connection is opened again. What the server cannot promise
 * is reported as a warning. Throws what `connectSsh` throws, Failure `usage` for a limit without a line, and `store-missing` if the directory is missing and must not
 * be made: if a store is remembered there, its file system is probably not mounted.
 */
export async function openBackupStore(
  location: StoreLocation,
  { sshConfigFile, create, limitRate = null, meanwhile = () => undefined }: OpenStoreOptions,
  dependencies: OpenStoreDependencies,
  context: Context,
): Promise<BackupStore> {
  const preparing = { create, memory: dependencies.memory, signal: context.signal };
  refuseLimitWithoutLine(location, limitRate);
  // An absolute path, because stores are remembered by location.
  if (location.kind === 'directory')
    return prepared(dependencies.openDirectory(resolve(location.path)), preparing);
  const { destination, port, path } = location;
  let isFirst = true;
  const unsettledFolders = new Set<string>();
  const connectTo = async (): Promise<OwningStore> => {
    const options = { sshConfigFile, port, limitRate, meanwhile: isFirst ? meanwhile : () => undefined };
    const connection = await dependencies.connect(destination, options, context);
    return disposedOnFailure(connection, async () => {
      const directory = path.startsWith('/')
        ? path
        : joined(await connection.loginDirectory(context.signal), path);
      return owning(connection.store(directory, unsettledFolders), connection);
    });
  };
  const store = await reconnectingStore(
    async () => {
      const { placed, store: opened } = await connectTo();
      if (isFirst) await disposedOnFailure(opened, () => prepared(placed, preparing));
      isFirst = false;
      return opened;
    },
    {
      waitsMs: RECONNECT_WAITS_MS,
      sleep: pause,
      onLost: ({ message }, waitMs) =>
        context.report({
          type: 'warning',
          code: 'other',
          message: `${message} Trying again in ${waitMs / 1000} s.`,
        }),
    },
  );
  if (store.shortcomings.length > 0)
    context.report({ type: 'warning', code: 'store-promises-less', message: store.shortcomings.join(' ') });
  return store;
}

interface Preparing {
  create: boolean;
  memory: OpenStoreDependencies['memory'];
  signal: AbortSignal;
}

/** The store, after making sure that its directory exists. */
async function prepared(store: PlacedStore, { create, memory, signal }: Preparing): Promise<PlacedStore> {
  if (await store.exists(signal)) return store;
  if (!create) throw noStore(store.location);
  const { failure } = whatChanged(await memory.recall(store.location), null, store.location);
  if (failure !== null) throw failure;
  await store.create(signal);
  return store;
}

interface OwningStore {
  placed: PlacedStore;
  /** The same store, but disposing it closes the connection. */
  store: BackupStore;
}

function owning(placed: PlacedStore, connection: SshConnection): OwningStore {
  const store: BackupStore = {
    location: placed.location,
    shortcomings: placed.shortcomings,
    put: (name, parts, options) => placed.put(name, parts, options),
    get: (name, signal, range) => placed.get(name, signal, range),
    remove: (name, signal) => placed.remove(name, signal),
    list: (folder, signal, which, onSome) => placed.list(folder, signal, which, onSome),
    rename: (from, to, signal) => placed.rename(from, to, signal),
    removeFolder: (folder, signal) => placed.removeFolder(folder, signal),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
  return { placed, store };
}

async function disposedOnFailure<Result>(
  resource: AsyncDisposable,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    await resource[Symbol.asyncDispose]();
    throw error;
  }
}

function joined(directory: string, path: string): string {
  return path === '.' ? directory : `${directory.replace(/\/+$/, '')}/${path}`;
}

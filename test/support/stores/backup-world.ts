import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Context, Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import type { BackupDependencies } from '../../../src/operations/backup/options.ts';
import { createRecordingNotes } from '../../../src/repository/recording-notes.ts';
import type { BackupReport } from '../../../src/operations/backup/backup-report.ts';
import { backup, type BackupRequest } from '../../../src/operations/backup/backup.ts';
import { StoreSession } from '../../../src/operations/store-access/store-session.ts';
import { createStoreMemory } from '../../../src/repository/store-memory.ts';
import { thisMachine, type Machine } from '../../../src/system/machine.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import type { BackupStore } from '../../../src/store/store.ts';
import { bunzipInThread } from '../../../src/workers/bunzip2-thread.ts';
import { bunzipWorkerUrl, frameWorkerUrl } from '../assembly.ts';
import { scratchDirectory } from '../images/images.ts';

export const TEST_PASSPHRASE = 'correct horse battery';
const shellScript = fileURLToPath(new URL('../../../fixtures/restore-snapshot.sh', import.meta.url));

/** A scratch directory with a store, and everything that backups need. */
export class BackupWorld implements AsyncDisposable {
  readonly #scratch = scratchDirectory();
  readonly path = this.#scratch.path;
  /** The store's directory. */
  readonly storePath = join(this.path, 'store');
  readonly events: Event[] = [];
  readonly pool = new FramePool(frameWorkerUrl, 2);
  readonly dependencies: BackupDependencies;
  /** The host on which backups are made from now on. */
  machine: Machine = thisMachine();
  readonly #isEncrypted: boolean;
  #time = Date.parse('2026-11-22T03:00:00Z');

  constructor({ encrypt = false }: { encrypt?: boolean } = {}) {
    this.#isEncrypted = encrypt;
    mkdirSync(this.storePath);
    this.dependencies = {
      drivers: [],
      records: createRecordStore(join(this.path, 'guests')),
      consoleLogOf: (guest) => join(this.path, `${guest}.log`),
      version: '0.0.0',
      machine: () => this.machine,
      recordings: createRecordingNotes(join(this.path, 'recordings')),
      pool: this.pool,
      bunzip: (pieces, signal) => bunzipInThread(bunzipWorkerUrl, pieces, signal),
      connect: connectSsh,
      environment: process.env,
      // A second passes between any two questions for the time.
      now: () => new Date((this.#time += 1000)),
      randomHex: (digits) => randomBytes(digits).toString('hex').slice(0, digits),
    };
  }

  context(signal: AbortSignal = new AbortController().signal): Context {
    return { signal, report: (event) => void this.events.push(event) };
  }

  get warnings(): string[] {
    return this.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  }

  /**
   * Opens the store, or makes it if there is none.
   * @param store by default, the one in the directory
   */
  async session(store: BackupStore = openDirectoryStore(this.storePath)): Promise<StoreSession> {
    const options = {
      passphrase: () => Promise.resolve(TEST_PASSPHRASE),
      memory: createStoreMemory(join(this.path, 'memory')),
      now: this.dependencies.now,
      forBackups: { mustBeEncrypted: false },
    };
    const init = {
      encrypt: this.#isEncrypted,
      // A low cost is fast; scrypt's real cost is tested elsewhere.
      cost: { N: 2 ** 14, r: 8, p: 1 },
      random: (bytes: number) => randomBytes(bytes),
      now: () => new Date('2026-11-22T03:00:00Z'),
    };
    // Faster than looking first, and needed by tests of several machines in one store.
    const isMade = (error: unknown) => error instanceof Failure && error.code === 'target-exists';
    return StoreSession.make(store, options, init, this.context()).catch((error: unknown) => {
      if (!isMade(error)) throw error;
      return StoreSession.open(store, options, this.context());
    });
  }

  /** Backs up images that no guest uses. */
  async backup(
    guests: string | readonly string[],
    {
      store,
      signal,
      ...request
    }: Partial<BackupRequest> & { store?: BackupStore; signal?: AbortSignal } = {},
  ): Promise<BackupReport> {
    const whole: BackupRequest = {
      guests: [guests].flat(),
      name: null,
      adopt: false,
      hold: 'clone',
      compression: 3,
      everyBlock: false,
      scratch: null,
      keepClones: true,
      maxPauseMs: null,
      haltTimeoutMs: 20_000,
      forceHalt: false,
      bootTimeoutMs: 60_000,
      ...request,
    };
    return backup(whole, await this.session(store), this.dependencies, this.context(signal));
  }

  /** Restores with fixtures/restore-snapshot.sh into a new directory, and returns it. Throws the script's error output. */
  restoreByScript(guest: string, snapshot: string): string {
    const directory = join(this.path, `restored-${randomBytes(4).toString('hex')}`);
    mkdirSync(directory);
    const args = [shellScript, this.storePath, guest, snapshot, directory];
    const { status, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}

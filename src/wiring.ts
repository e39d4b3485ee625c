import { join } from 'node:path';
import { FramePool } from './frame/frame-pool.ts';
import { createRecordStore, stateDirectory } from './guest/record-store.ts';
import { createUmlDriver } from './guest/uml-driver.ts';
import type { MigrateDependencies } from './operations/migrate-dependencies.ts';
import type { ReceiveDependencies } from './operations/receive.ts';
import { openDirectoryStore } from './store/directory-store.ts';

export type Dependencies = MigrateDependencies & ReceiveDependencies & AsyncDisposable;

/** The concrete drivers, stores and workers that the operations run with. Workers start when they are first needed. */
export function createDependencies(version: string, environment: NodeJS.ProcessEnv): Dependencies {
  const directory = stateDirectory(environment);
  let pool: FramePool | null = null;
  return {
    version,
    get pool() {
      return (pool ??= new FramePool(new URL('./frame/frame-worker.js', import.meta.url)));
    },
    drivers: [createUmlDriver(environment)],
    records: createRecordStore(join(directory, 'guests')),
    // The ssh library takes a while to load, and the side that receives does without it.
    connect: async (...where) => (await import('./store/ssh-connection.ts')).connectSsh(...where),
    openStore: openDirectoryStore,
    consoleLogOf: (guest) => join(directory, 'console', `${guest}.log`),
    async [Symbol.asyncDispose]() {
      await pool?.[Symbol.asyncDispose]();
    },
  };
}

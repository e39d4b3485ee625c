import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { FramePool } from './workers/frame-pool.ts';
import { newBootFilePaths } from './guest/boot-menu/boot-file-paths.ts';
import { createRecordStore, stateDirectory } from './guest/record-store.ts';
import {
  deferArrival,
  deferHugePages,
  deferKeeping,
  deferProbing,
  deferViewing,
  once,
} from './guest/drivers/deferred-driver.ts';
import { libvirtOutline } from './guest/drivers/libvirt/outline.ts';
import { qemuOutline } from './guest/drivers/qemu/outline.ts';
import { createUmlDriver } from './guest/drivers/uml/driver.ts';
import { xenOutline } from './guest/drivers/xen/outline.ts';
import type { DefinitionLanguage } from './guest/definition-language.ts';
import type { GuestDriver } from './guest/guest-driver.ts';
import type { ConvertDependencies } from './operations/convert/convert.ts';
import type { BackupDependencies } from './operations/backup/options.ts';
import type { ExportDependencies } from './operations/exchange/export.ts';
import type { ImportDependencies } from './operations/exchange/import.ts';
import type { MigrateDependencies } from './operations/migrate/migrate-dependencies.ts';
import type { PlainMoveDependencies } from './operations/plain-move/plain-move.ts';
import type { ReceiveDependencies } from './operations/receive/receive.ts';
import type { StoreDependencies } from './operations/store-access/store-dependencies.ts';
import { createRecordingNotes } from './repository/recording-notes.ts';
import { createStoreMemory } from './repository/store-memory.ts';
import { openDirectoryStore } from './store/directory/directory-store.ts';
import { thisMachine } from './system/machine.ts';

export { tuneMemory } from './system/memory/memory.ts';

export type Dependencies = MigrateDependencies &
  ReceiveDependencies &
  BackupDependencies &
  StoreDependencies &
  ConvertDependencies &
  ExportDependencies &
  ImportDependencies &
  PlainMoveDependencies &
  AsyncDisposable;

/** The drivers, stores and workers that the operations use. Workers start when they are first needed. */
export function createDependencies(version: string, environment: NodeJS.ProcessEnv): Dependencies {
  const directory = stateDirectory(environment);
  let pool: FramePool | null = null;
  // The ssh library takes a while to load, and a receiver does not need it.
  const connect: MigrateDependencies['connect'] = async (...where) =>
    (await import('./store/sftp/ssh-connection.ts')).connectSsh(...where);
  const storeMemory = createStoreMemory(join(directory, 'stores'));
  return {
    version,
    get pool() {
      return (pool ??= new FramePool(new URL('./workers/frame-worker.js', import.meta.url)));
    },
    async *bunzip(pieces, signal) {
      const { bunzipInThread } = await import('./workers/bunzip2-thread.ts');
      yield* bunzipInThread(new URL('./workers/bunzip2-worker.js', import.meta.url), pieces, signal);
    },
    drivers: createDrivers(environment),
    loadLanguages,
    records: createRecordStore(join(directory, 'guests')),
    connect,
    environment,
    storeMemory,
    random: (bytes) => randomBytes(bytes),
    randomHex: (digits) =>
      randomBytes(Math.ceil(digits / 2))
        .toString('hex')
        .slice(0, digits),
    now: () => new Date(),
    machine: () => thisMachine(),
    recordings: createRecordingNotes(join(directory, 'recordings')),
    async openStoreAt(location, options, context) {
      const { openBackupStore } = await import('./operations/store-access/open-backup-store.ts');
      const opening = { openDirectory: openDirectoryStore, connect, memory: storeMemory };
      return openBackupStore(location, options, opening, context);
    },
    bootFilesOf: (guest) => newBootFilePaths(directory, guest),
    spoolParent: join(directory, 'spool'),
    grantKeyFile: join(directory, 'grant-key'),
    consoleLogOf: (guest) => join(directory, 'console', `${guest}.log`),
    async [Symbol.asyncDispose]() {
      await pool?.[Symbol.asyncDispose]();
    },
  };
}

function createDrivers(environment: NodeJS.ProcessEnv): GuestDriver[] {
  const qemu = once(async () =>
    (await import('./guest/drivers/qemu/driver.ts')).createQemuDriver(environment),
  );
  const libvirt = once(async () =>
    (await import('./guest/drivers/libvirt/driver.ts')).createLibvirtDriver(environment),
  );
  return [
    createUmlDriver(environment),
    { ...deferViewing(qemuOutline, qemu), ...deferHugePages(qemu) },
    {
      ...deferKeeping(libvirtOutline(environment), libvirt),
      ...deferHugePages(libvirt),
      ...deferArrival(libvirt),
    },
    deferProbing(
      xenOutline(environment),
      once(async () => (await import('./guest/drivers/xen/driver.ts')).createXenDriver(environment)),
    ),
  ];
}

async function loadLanguages(): Promise<DefinitionLanguage[]> {
  return [
    (await import('./guest/drivers/uml/language.ts')).umlLanguage,
    (await import('./guest/drivers/qemu/language.ts')).qemuLanguage,
    (await import('./guest/drivers/libvirt/language.ts')).libvirtLanguage,
    (await import('./guest/drivers/xen/language.ts')).xenLanguage,
  ];
}

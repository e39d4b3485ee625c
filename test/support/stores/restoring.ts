import { openSync, closeSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseSnapshotReference } from '../../../src/operations/store-access/choose-snapshot.ts';
import { restore, type RestoreResult } from '../../../src/operations/restore/restore.ts';
import type { RestoreRequest } from '../../../src/operations/restore/restore-report.ts';
import type { BackupStore } from '../../../src/store/store.ts';
import type { BackupWorld } from './backup-world.ts';

/** What a test of a restore may change. */
export interface RestoreOverrides extends Partial<Omit<RestoreRequest, 'reference' | 'to'>> {
  store?: BackupStore;
  signal?: AbortSignal;
}

/** Restores from the world's store. An incomplete image is not an error. */
export async function restoreResult(
  world: BackupWorld,
  reference: string,
  to: string,
  { store, signal, ...request }: RestoreOverrides = {},
): Promise<RestoreResult> {
  const whole: RestoreRequest = {
    reference: parseSnapshotReference(reference),
    to,
    disk: null,
    inPlace: false,
    allowMissing: false,
    start: null,
    ...request,
  };
  const dependencies = {
    ...world.dependencies,
    bootFilesOf: (guest: string) => ({
      kernel: join(world.path, 'kernel', guest),
      initrd: join(world.path, 'initrd', guest),
    }),
  };
  return restore(whole, await world.session(store), dependencies, world.context(signal));
}

/** Restores from the world's store, and returns the report. An incomplete image is an error. */
export async function restoreWhole(...args: Parameters<typeof restoreResult>) {
  const { report, failure } = await restoreResult(...args);
  if (failure !== null) throw failure;
  return report;
}

/** Absolute paths of a guest's files of one kind in the world's store. */
export function storedFiles(world: BackupWorld, guest: string, kind: 'packs' | 'maps' | 'index'): string[] {
  const folder = join(world.storePath, 'guests', guest, kind);
  return readdirSync(folder)
    .toSorted()
    .map((name) => join(folder, name));
}

/** Changes one byte of a file. */
export function flipByte(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, offset);
    byte.writeUInt8(byte.readUInt8(0) ^ 0x55, 0);
    writeSync(fd, byte, 0, 1, offset);
  } finally {
    closeSync(fd);
  }
}

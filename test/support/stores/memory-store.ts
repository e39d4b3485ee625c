import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../../src/failure.ts';
import type { BackupStore } from '../../../src/store/store.ts';

/** A copy in memory of the store in a directory. */
export function memoryStoreOf(directory: string): MemoryStore {
  const store = memoryStore(directory);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, name);
    if (statSync(path).isFile()) store.files.set(name, readFileSync(path));
  }
  return store;
}

export type MemoryStore = BackupStore & { files: Map<string, Uint8Array> };

/** A store in memory. Tests may inspect and change `files`, its names and bytes. */
export function memoryStore(location = '/srv/backups'): MemoryStore {
  const files = new Map<string, Uint8Array>();
  return {
    location,
    files,
    shortcomings: [],
    put(name, parts, { keepExisting = false }) {
      if (!keepExisting || !files.has(name)) files.set(name, Buffer.concat(parts));
      return Promise.resolve();
    },
    async *get(name, _signal, range) {
      const bytes = files.get(name);
      if (bytes === undefined) throw new Failure('target-missing', `${location} has no file ${name}.`);
      yield range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
    },
    remove(name) {
      files.delete(name);
      return Promise.resolve();
    },
    list(folder) {
      const prefix = folder === '' ? '' : `${folder}/`;
      const inside = [...files].flatMap(([name, bytes]) => {
        if (!name.startsWith(prefix)) return [];
        const [first = '', ...more] = name.slice(prefix.length).split('/');
        const isFolder = more.length > 0;
        return [{ name: first, isFolder, sizeBytes: isFolder ? 0 : bytes.length, modifiedMs: 0 }];
      });
      return Promise.resolve([...new Map(inside.map((entry) => [entry.name, entry])).values()]);
    },
    rename(from, to) {
      const bytes = files.get(from);
      if (bytes === undefined) return Promise.resolve(false);
      files.delete(from);
      files.set(to, bytes);
      return Promise.resolve(true);
    },
    removeFolder: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

import { expect, test } from '@jest/globals';
import { Failure } from '../../../../src/failure.ts';
import { requireWritable } from '../../../../src/operations/backup/require-writable.ts';
import { sealFor } from '../../../../src/seal/seal-for.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';

const { signal } = new AbortController();

/** The names that are written to when a guest `web` is about to be backed up. */
async function namesTried(stored: readonly string[], hasFolder: boolean): Promise<string[]> {
  const store = memoryStore();
  for (const name of stored) store.files.set(name, Buffer.from('x'));
  const tried: string[] = [];
  const watched = {
    ...store,
    put: (...given: Parameters<typeof store.put>) => {
      tried.push(given[0]);
      return store.put(...given);
    },
  };
  await requireWritable(new GuestFolder(watched, 'web', sealFor(null)), hasFolder, signal);
  expect([...store.files.keys()]).toEqual(stored);
  return tried;
}

test('a store without guests gets no folder for them', async () => {
  expect(await namesTried(['vmferry-store.json'], false)).toEqual([
    expect.stringMatching(/^[^/]*write-check[^/]*$/),
  ]);
});

test('a new guest gets no folder of its own', async () => {
  expect(await namesTried(['guests/mail/snapshots/1.json'], false)).toEqual([
    expect.stringMatching(/^guests\/[^/]*write-check[^/]*$/),
  ]);
});

test('for a guest that the store has, its own folder is checked', async () => {
  expect(await namesTried(['guests/web/snapshots/1.json'], true)).toEqual([
    expect.stringMatching(/^guests\/web\/announced\/[^/]*write-check[^/]*$/),
  ]);
});

test('a store that forbids deletion takes backups', async () => {
  const refusal = () => Promise.reject(new Failure('target-not-writable', 'No.'));
  const folder = new GuestFolder({ ...memoryStore(), remove: refusal }, 'web', sealFor(null));
  await requireWritable(folder, true, signal);
  const refusing = new GuestFolder({ ...memoryStore(), put: refusal }, 'web', sealFor(null));
  await expect(requireWritable(refusing, true, signal)).rejects.toMatchObject({
    code: 'target-not-writable',
  });
});

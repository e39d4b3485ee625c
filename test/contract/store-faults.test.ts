import { describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryStore } from '../../src/store/directory/directory-store.ts';
import { reconnectingStore } from '../../src/store/reconnecting-store.ts';
import type { BackupStore } from '../../src/store/store.ts';
import { FaultyStore } from '../support/stores/faulty-store.ts';
import { memoryStore } from '../support/stores/memory-store.ts';
import { RecordingStore, replay } from '../support/stores/recording-store.ts';
import { testSeed } from '../support/seeded-random.ts';
import { describeBackupStore, type BackupStoreUnderTest } from './backup-store-contract.ts';

const { signal } = new AbortController();
const seed = testSeed();

async function storesIn(
  wrap: (store: BackupStore) => BackupStore | Promise<BackupStore>,
): Promise<BackupStoreUnderTest> {
  const scratch = await mkdtemp(join(tmpdir(), 'vmferry-faulty-store-'));
  return {
    scratch,
    open: (directory) => wrap(openDirectoryStore(directory)),
    stop: () => rm(scratch, { recursive: true, force: true }),
  };
}

describe(`behind a connection that sometimes fails (VMFERRY_TEST_SEED=${seed})`, () => {
  let opened = 0;
  describeBackupStore('a directory', () =>
    storesIn((directory) => {
      const faulty = new FaultyStore(directory, seed + opened++, { fail: 0.2 });
      return reconnectingStore(() => Promise.resolve(faulty), {
        waitsMs: Array.from({ length: 50 }, () => 0),
        sleep: () => Promise.resolve(),
      });
    }),
  );
});

describeBackupStore('a directory, recorded', () => storesIn((directory) => new RecordingStore(directory)));

describe('a faulty store', () => {
  const put = (store: BackupStore, name: string, text: string): Promise<void> =>
    store.put(name, [Buffer.from(text)], { signal });

  test('makes the same faults for the same seed', async () => {
    const logOf = async (by: number): Promise<string[]> => {
      const store = new FaultyStore(memoryStore(), by, { fail: 0.3, truncate: 0.3, lieAboutSizes: 0.3 });
      for (let count = 0; count < 30; count++) {
        await put(store, `file-${count}`, 'some text').catch(() => undefined);
        await store.list('', signal).catch(() => undefined);
      }
      return store.log;
    };
    expect(await logOf(1)).toEqual(await logOf(1));
    expect(await logOf(1)).not.toEqual(await logOf(2));
    const kinds = (await logOf(1)).map((line) => /failed after|failed before|stored|said/.exec(line)?.[0]);
    expect(new Set(kinds)).toEqual(new Set(['failed after', 'failed before', 'stored', 'said']));
  });

  test('truncates files without an error', async () => {
    const inner = memoryStore();
    const store = new FaultyStore(inner, 1, { truncate: 1 });
    await put(store, 'a', '0123456789');
    expect('0123456789'.startsWith(String(inner.files.get('a')))).toBe(true);
    expect(inner.files.get('a')?.length).toBeLessThan(10);
  });

  test('stalls until it is aborted', async () => {
    const store = new FaultyStore(memoryStore(), 1, { stall: 1 });
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    const listing = store.list('', stop.signal);
    stop.abort(reason);
    await expect(listing).rejects.toBe(reason);
  });

  test('loses its last writes, even if the files were moved', async () => {
    const inner = memoryStore();
    const store = new FaultyStore(inner, 1);
    await put(store, 'a', 'first');
    await put(store, 'b', 'first');
    await put(store, 'a', 'second');
    await put(store, 'c', 'first');
    await store.rename('c', 'd', signal);
    await store.losePower(2);
    expect([...inner.files].map(([name, bytes]) => `${name} ${String(bytes)}`).toSorted()).toEqual([
      'a first',
      'b first',
    ]);
  });
});

test('recorded operations can be replayed up to any operation', async () => {
  const recording = new RecordingStore(memoryStore());
  await recording.put('a', [Buffer.from('a '), Buffer.from('text')], { signal });
  await recording.rename('a', 'b', signal);
  await recording.rename('none', 'c', signal);
  await recording.put('d', [], { signal });
  await recording.remove('b', signal);
  await recording.removeFolder('e', signal);
  const states: string[] = [];
  for (let count = 0; count <= recording.operations.length; count++) {
    const again = memoryStore();
    await replay(recording.operations.slice(0, count), again);
    states.push([...again.files].map(([name, bytes]) => `${name}=${String(bytes)}`).join(' '));
  }
  expect(states).toEqual(['', 'a=a text', 'b=a text', 'b=a text d=', 'd=', 'd=']);
});

import { expect, test } from '@jest/globals';
import { watchedStore } from '../../../src/store/watched-store.ts';
import { memoryStore } from '../../support/stores/memory-store.ts';

const { signal } = new AbortController();

/** A watched store in memory, which counts waits and progress. */
function watched(inner = memoryStore()) {
  const seen = { waits: 0, progress: 0 };
  const store = watchedStore(inner, {
    waiting: () => {
      seen.waits++;
      return { [Symbol.dispose]: () => void seen.waits-- };
    },
    progressed: () => void seen.progress++,
  });
  return { store, seen };
}

test('each operation is a wait that ends with the operation, even if it fails', async () => {
  const { store, seen } = watched();
  const working = [
    store.put('a/b', [Buffer.from('text')], { signal }),
    store.list('a', signal),
    store.rename('a/b', 'a/c', signal),
    store.remove('a/b', signal),
    store.removeFolder('a', signal),
  ];
  expect(seen.waits).toBe(working.length);
  await Promise.all(working);
  expect(seen.waits).toBe(0);
  await expect(store.get('nothing', signal)[Symbol.asyncIterator]().next()).rejects.toThrow('nothing');
  expect(seen.waits).toBe(0);
});

test('the time in which a piece is processed is not a wait for the store', async () => {
  const { store, seen } = watched();
  await store.put('a', [Buffer.from('text')], { signal });
  for await (const piece of store.get('a', signal)) {
    expect(Buffer.from(piece).toString()).toBe('text');
    expect(seen.waits).toBe(0);
  }
  for await (const _ of store.get('a', signal)) break;
  expect(seen.waits).toBe(0);
});

test('acknowledged bytes and received entries are progress, and are passed on', async () => {
  const inner = memoryStore();
  let passedOn = 0;
  const { store, seen } = watched({
    ...inner,
    put: (_name, _parts, { onWritten }) => Promise.resolve(onWritten?.(7)),
    list: (_folder, _signal, _which, onSome) => {
      onSome?.();
      return Promise.resolve([]);
    },
  });
  await store.put('a', [], { signal, onWritten: (bytes) => (passedOn += bytes) });
  await store.list('', signal, 'files', () => passedOn++);
  expect([passedOn, seen.progress]).toEqual([8, 2]);
});

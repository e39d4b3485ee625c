import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { reconnectingStore } from '../../../src/store/reconnecting-store.ts';
import type { BackupStore, ByteRange } from '../../../src/store/store.ts';
import { failureOf } from '../../support/failures.ts';
import { memoryStore } from '../../support/stores/memory-store.ts';

const signal = new AbortController().signal;
const lost = (): Failure => new Failure('connection-lost', 'The line is lost.', { transient: true });

interface World {
  store: BackupStore;
  files: Map<string, Uint8Array>;
  /** How often a connection was opened and disposed, the waits, and what `onLost` was called with. */
  opened: number;
  disposed: number;
  waits: number[];
  told: string[];
}

/** A memory store behind connections; `lines` overrides operations of each connection, in order. */
async function world(
  lines: ((store: BackupStore) => Partial<BackupStore> | Failure)[],
  waitsMs: readonly number[] = [1, 5, 25],
): Promise<World> {
  const inner = memoryStore();
  const seen = { files: inner.files, opened: 0, disposed: 0, waits: [] as number[], told: [] as string[] };
  const open = (): Promise<BackupStore> => {
    const line = lines[seen.opened++]?.(inner) ?? {};
    if (line instanceof Failure) return Promise.reject(line);
    return Promise.resolve({
      ...inner,
      ...line,
      [Symbol.asyncDispose]: () => {
        seen.disposed++;
        return Promise.resolve();
      },
    });
  };
  const store = await reconnectingStore(open, {
    waitsMs,
    sleep: (ms) => {
      seen.waits.push(ms);
      return Promise.resolve();
    },
    onLost: ({ message }, waitMs) => seen.told.push(`${message} ${waitMs}`),
  });
  return Object.assign(seen, { store });
}

const dead = {
  put: () => Promise.reject(lost()),
  remove: () => Promise.reject(lost()),
  list: () => Promise.reject(lost()),
  rename: () => Promise.reject(lost()),
};

describe('an operation on a lost connection', () => {
  test('is repeated on a new one, after a wait', async () => {
    const here = await world([() => dead]);
    await here.store.put('a', [Buffer.from('x')], { signal });
    expect(here.files.has('a')).toBe(true);
    expect(here).toMatchObject({ opened: 2, disposed: 1, waits: [1], told: ['The line is lost. 1'] });
  });

  test('waits longer each time, and fails when no wait is left', async () => {
    const here = await world([() => dead, () => lost(), () => dead, () => dead]);
    expect((await failureOf(() => here.store.list('', signal))).code).toBe('connection-lost');
    expect(here.waits).toEqual([1, 5, 25]);
    expect(here.opened).toBe(4);
    // The next operation has all waits again.
    await here.store.remove('a', signal);
    expect(here.opened).toBe(5);
  });

  test('fails at once if the failure is not transient', async () => {
    const changed = new Failure('host-key-changed', 'It shows another key.');
    const here = await world([() => dead, () => changed]);
    await expect(here.store.remove('a', signal)).rejects.toBe(changed);
    await expect(here.store.remove('a', signal)).rejects.toBe(changed);
    expect(here.opened).toBe(2);
    const full = new Failure('target-full', 'It is full.');
    const there = await world([() => ({ put: () => Promise.reject(full) })]);
    await expect(there.store.put('a', [], { signal })).rejects.toBe(full);
    expect(there).toMatchObject({ opened: 1, waits: [], told: [] });
  });

  test('shares the new connection with other operations that failed', async () => {
    const here = await world([() => dead]);
    await Promise.all(['a', 'b', 'c'].map((name) => here.store.put(name, [], { signal })));
    expect([...here.files.keys()]).toEqual(['a', 'b', 'c']);
    expect(here).toMatchObject({ opened: 2, disposed: 1, told: ['The line is lost. 1'] });
  });

  test('ends when it is aborted, even during a wait', async () => {
    const inner = memoryStore();
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    const store = await reconnectingStore(() => Promise.resolve({ ...inner, ...dead }), {
      waitsMs: [1, 1],
      sleep: (_ms, by) => {
        stop.abort(reason);
        return by.aborted ? Promise.reject(by.reason as Error) : Promise.resolve();
      },
    });
    await expect(store.list('', stop.signal)).rejects.toBe(reason);
    await expect(store.remove('a', stop.signal)).rejects.toBe(reason);
  });

  test('is not repeated once the store is disposed', async () => {
    const here = await world([() => dead]);
    await here.store[Symbol.asyncDispose]();
    expect((await failureOf(() => here.store.remove('a', signal))).code).toBe('connection-lost');
    expect(here).toMatchObject({ opened: 1, disposed: 1 });
  });

  test('is not repeated when the store is first opened', async () => {
    await expect(
      reconnectingStore(() => Promise.reject(lost()), {
        waitsMs: [1],
        sleep: () => Promise.resolve(),
      }),
    ).rejects.toMatchObject({ code: 'connection-lost' });
  });
});

test('a repeated put counts no byte twice', async () => {
  const told: number[] = [];
  const here = await world([
    () => ({
      put: (_name, _parts, options) => {
        options.onWritten?.(60);
        return Promise.reject(lost());
      },
    }),
    (inner) => ({
      put: (name, parts, options) => {
        options.onWritten?.(40);
        options.onWritten?.(40);
        options.onWritten?.(20);
        return inner.put(name, parts, options);
      },
    }),
  ]);
  await here.store.put('a', [Buffer.alloc(100)], { signal, onWritten: (bytes) => told.push(bytes) });
  expect(told).toEqual([60, 20, 20]);
});

describe('a rename whose answer was lost', () => {
  test('counts as done if the new name exists', async () => {
    const here = await world([
      (inner) => ({
        rename: async (from, to, by) => {
          await inner.rename(from, to, by);
          throw lost();
        },
      }),
    ]);
    here.files.set('packs/a', Buffer.from('x'));
    expect(await here.store.rename('packs/a', 'trash/t/a', signal)).toBe(true);
    expect([...here.files.keys()]).toEqual(['trash/t/a']);
  });

  test('counts as not done if the new name does not exist', async () => {
    const here = await world([() => dead]);
    expect(await here.store.rename('a', 'b', signal)).toBe(false);
    expect(here.opened).toBe(2);
  });

  test('is not checked if no connection was lost', async () => {
    const here = await world([]);
    here.files.set('b', Buffer.from('x'));
    expect(await here.store.rename('a', 'b', signal)).toBe(false);
  });
});

describe('a read whose connection is lost', () => {
  const bytes = Buffer.from('0123456789');
  /** Gives three of the requested bytes, then fails. */
  const brief = (asked: (ByteRange | undefined)[]) => (): Partial<BackupStore> => ({
    async *get(_name, _signal, range) {
      asked.push(range);
      const start = range?.offset ?? 0;
      yield bytes.subarray(start, Math.min(start + 3, start + (range?.length ?? 3)));
      throw lost();
    },
  });

  async function read(store: BackupStore, range?: ByteRange): Promise<string> {
    let text = '';
    for await (const piece of store.get('a', signal, range)) text += String(Buffer.from(piece));
    return text;
  }

  test('continues after the last byte received', async () => {
    const asked: (ByteRange | undefined)[] = [];
    const here = await world([brief(asked), brief(asked)], [1]);
    here.files.set('a', bytes);
    expect(await read(here.store)).toBe('0123456789');
    expect(asked[0]).toBeUndefined();
    expect(asked[1]).toMatchObject({ offset: 3 });
    // Every received byte resets the waits.
    expect(here.waits).toEqual([1, 1]);
  });

  test('ends at the end of its range', async () => {
    const asked: (ByteRange | undefined)[] = [];
    const here = await world([brief(asked), brief(asked)]);
    here.files.set('a', bytes);
    expect(await read(here.store, { offset: 2, length: 5 })).toBe('23456');
    expect(asked).toEqual([
      { offset: 2, length: 5 },
      { offset: 5, length: 2 },
    ]);
  });

  test('reports a missing file', async () => {
    const here = await world([]);
    expect((await failureOf(() => read(here.store))).code).toBe('target-missing');
  });
});

import process from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mapOrdered } from '../../../src/pipeline/map-ordered.ts';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** A promise and the means to settle it. */
function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Waits for enough turns of the event loop that all work that can go on has gone on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await nextTurn();
}

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(async () => {
  await settle();
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

describe('results', () => {
  test('come in the order of the items, with at most `width` items at work, for any durations', async () => {
    const turns = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(turns, fc.integer({ min: 1, max: 6 }), fc.boolean(), async (items, width, isAsync) => {
        let atWork = 0;
        let most = 0;
        async function* slowly() {
          for (const [index, item] of items.entries()) {
            if (index % 3 === 0) await nextTurn();
            yield item;
          }
        }
        const results = mapOrdered(isAsync ? slowly() : items, width, async (item) => {
          most = Math.max(most, ++atWork);
          for (let turn = 0; turn < item; turn++) await nextTurn();
          atWork--;
          return item * 2;
        });
        expect(await collect(results)).toEqual(items.map((item) => item * 2));
        expect(most).toBeLessThanOrEqual(width);
        if (!isAsync && items.every((turns) => turns > 0)) expect(most).toBe(Math.min(width, items.length));
      }),
      { numRuns: 60 },
    );
  });

  test('come even while the source is silent', async () => {
    const silence = deferred<void>();
    async function* source() {
      yield 1;
      yield 2;
      await silence.promise;
      yield 3;
    }
    const results = mapOrdered(source(), 4, async (item) => item * 10);
    expect(await results.next()).toEqual({ value: 10, done: false });
    expect(await results.next()).toEqual({ value: 20, done: false });
    silence.resolve();
    expect(await collect(results)).toEqual([30]);
  });

  test('are begun before they are asked for, up to `width`', async () => {
    const begun: number[] = [];
    const results = mapOrdered([1, 2, 3, 4, 5, 6], 2, async (item) => {
      begun.push(item);
      return item;
    });
    await settle();
    expect(begun).toEqual([]);
    await results.next();
    await settle();
    expect(begun.length).toBeLessThanOrEqual(3);
    await results.return();
  });
});

describe('a failure', () => {
  const failure = new Error('on purpose');

  test('of the work is thrown after the results before it', async () => {
    const results = mapOrdered([1, 2, 3, 4], 3, async (item) => {
      if (item === 3) throw failure;
      await nextTurn();
      return item;
    });
    const seen: number[] = [];
    const consumed = (async () => {
      for await (const item of results) seen.push(item);
    })();
    await expect(consumed).rejects.toBe(failure);
    expect(seen).toEqual([1, 2]);
  });

  test('is thrown once the work in flight has settled', async () => {
    const slow = deferred<number>();
    const results = mapOrdered([1, 2], 2, async (item) => {
      if (item === 2) return slow.promise;
      await nextTurn();
      throw failure;
    });
    let isOver = false;
    const over = results.next().finally(() => {
      isOver = true;
    });
    over.catch(() => undefined);
    await settle();
    expect(isOver).toBe(false);
    slow.reject(new Error('a second one'));
    await expect(over).rejects.toBe(failure);
  });

  test('may be thrown by the work instead of rejected', async () => {
    const results = mapOrdered([1], 2, () => {
      throw failure;
    });
    await expect(collect(results)).rejects.toBe(failure);
  });

  test.each(['async', 'sync'])('of the source is thrown (%s)', async (kind) => {
    async function* asyncSource() {
      yield 1;
      throw failure;
    }
    function* syncSource() {
      yield 1;
      throw failure;
    }
    const settled: number[] = [];
    const results = mapOrdered(kind === 'async' ? asyncSource() : syncSource(), 4, async (item) => {
      await nextTurn();
      settled.push(item);
      return item;
    });
    await expect(collect(results)).rejects.toBe(failure);
    expect(settled).toEqual([1]);
  });

  test('is not delayed by a silent source', async () => {
    const silence = deferred<void>();
    let isClosed = false;
    async function* source() {
      try {
        yield 1;
        await silence.promise;
      } finally {
        isClosed = true;
      }
    }
    await expect(collect(mapOrdered(source(), 2, () => Promise.reject(failure)))).rejects.toBe(failure);
    silence.resolve();
    await settle();
    expect(isClosed).toBe(true);
  });

  test('is not replaced by the error of closing the source', async () => {
    function* source() {
      try {
        yield 1;
        yield 2;
      } finally {
        // eslint-disable-next-line no-unsafe-finally -- this is what the test is about
        throw new Error('while closing');
      }
    }
    const results = mapOrdered(source(), 1, () => Promise.reject(failure));
    await expect(collect(results)).rejects.toBe(failure);
  });

  test('closes the source', async () => {
    let isClosed = false;
    function* source() {
      try {
        for (let item = 0; ; item++) yield item;
      } finally {
        isClosed = true;
      }
    }
    await expect(collect(mapOrdered(source(), 2, () => Promise.reject(failure)))).rejects.toBe(failure);
    expect(isClosed).toBe(true);
  });
});

test('when the consumer stops early, the source is closed, and no more work begins', async () => {
  let isClosed = false;
  let begun = 0;
  async function* source() {
    try {
      for (let item = 0; ; item++) yield item;
    } finally {
      isClosed = true;
    }
  }
  const results = mapOrdered(source(), 3, async (item) => {
    begun++;
    await nextTurn();
    if (item > 3) throw new Error('nobody asks for it any more');
    return item;
  });
  for await (const item of results) if (item === 2) break;
  expect(isClosed).toBe(true);
  const begunThen = begun;
  await settle();
  expect(begun).toBe(begunThen);
});

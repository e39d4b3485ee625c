import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Queue } from '../../../src/pipeline/queue.ts';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

test('items come in order, whether they are pushed before or after the read', async () => {
  const queue = new Queue<number>();
  queue.push(1);
  const all = collect(queue);
  await nextTurn();
  queue.push(2);
  queue.push(3);
  await nextTurn();
  queue.push(4);
  queue.end();
  expect(await all).toEqual([1, 2, 3, 4]);
});

test('items that were pushed before the end still come', async () => {
  const queue = new Queue<string>();
  queue.push('last');
  queue.end();
  expect(await collect(queue)).toEqual(['last']);
});

test('an error comes at once, before the unread items', async () => {
  const queue = new Queue<number>();
  const failure = new Error('on purpose');
  queue.push(1);
  queue.end(failure);
  await expect(collect(queue)).rejects.toBe(failure);
});

test('an error wakes a waiting reader, and the first end counts', async () => {
  const queue = new Queue<number>();
  const waiting = collect(queue);
  await nextTurn();
  const failure = new Error('on purpose');
  queue.end(failure);
  queue.end();
  await expect(waiting).rejects.toBe(failure);
});

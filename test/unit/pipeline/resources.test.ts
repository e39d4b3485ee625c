import { expect, test } from '@jest/globals';
import { Resources } from '../../../src/pipeline/resources.ts';

function recorder() {
  const disposed: string[] = [];
  return {
    disposed,
    sync: (name: string): Disposable => ({ [Symbol.dispose]: () => void disposed.push(name) }),
    async: (name: string): AsyncDisposable => ({
      [Symbol.asyncDispose]: async () => {
        await Promise.resolve();
        disposed.push(name);
      },
    }),
  };
}

test('resources are disposed of once, one after the other, the last one first', async () => {
  const made = recorder();
  const resources = new Resources();
  for (const resource of [made.sync('a'), made.async('b'), made.sync('c')])
    expect(resources.hold(resource)).toBe(resource);
  await resources[Symbol.asyncDispose]();
  expect(made.disposed).toEqual(['c', 'b', 'a']);
  await resources[Symbol.asyncDispose]();
  expect(made.disposed).toHaveLength(3);
});

test('resources that were handed over are left alone', async () => {
  const made = recorder();
  const resources = new Resources();
  resources.hold(made.sync('a'));
  const heir = resources.release();
  await resources[Symbol.asyncDispose]();
  expect(made.disposed).toEqual([]);
  await heir[Symbol.asyncDispose]();
  expect(made.disposed).toEqual(['a']);
});

test('a resource that fails does not keep the others from being disposed of', async () => {
  const made = recorder();
  const resources = new Resources();
  const failure = new Error('on purpose');
  resources.hold(made.sync('a'));
  resources.hold({ [Symbol.asyncDispose]: () => Promise.reject(failure) });
  resources.hold(made.async('c'));
  await expect(resources[Symbol.asyncDispose]()).rejects.toBe(failure);
  expect(made.disposed).toEqual(['c', 'a']);
});

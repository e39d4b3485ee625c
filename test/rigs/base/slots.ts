import { setTimeout as delay } from 'node:timers/promises';
import { oneAtATime } from '../../../src/system/one-at-a-time.ts';

const patienceMs = 15 * 60_000;
const retryMs = 500;

/** Waits for one of a few places on this machine, which is free again when disposed, or when this process ends. */
export async function takeSlot(name: string, count: number): Promise<AsyncDisposable> {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    for (let number = 0; number < count; number++) {
      const slot = await tryToTake(`${name} ${number}`);
      if (slot !== null) return slot;
    }
    await delay(retryMs);
  }
  throw new Error(`all ${count} places for ${name} were taken for ${patienceMs / 60_000} minutes`);
}

function withResolver<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((given) => (resolve = given));
  return { promise, resolve };
}

async function tryToTake(name: string): Promise<AsyncDisposable | null> {
  const { promise: released, resolve: release } = withResolver<void>();
  const { promise: taken, resolve: take } = withResolver<boolean>();
  const held = oneAtATime(name, 0, () => {
    take(true);
    return released;
  });
  if (!(await Promise.race([taken, held]))) return null;
  return {
    async [Symbol.asyncDispose]() {
      release();
      await held;
    },
  };
}

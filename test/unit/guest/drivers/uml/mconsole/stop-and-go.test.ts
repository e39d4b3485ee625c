import { describe, expect, test } from '@jest/globals';
import type { GoAnswer, StopAnswer } from '../../../../../../src/guest/drivers/uml/mconsole/mconsole.ts';
import { StopAndGo } from '../../../../../../src/guest/drivers/uml/mconsole/stop-and-go.ts';

/** A kernel that overlooks some orders until the next one arrives, and carries out the newest first. */
class PretendKernel {
  isStopped: boolean;
  /** Orders to stop that were overlooked, or wait behind the one that stopped it. */
  #pending = 0;
  readonly #overlooked: boolean[];

  constructor({ overlooked = [], isStopped = false }: { overlooked?: boolean[]; isStopped?: boolean }) {
    this.#overlooked = overlooked;
    this.isStopped = isStopped;
  }

  async stop(): Promise<StopAnswer> {
    if (this.isStopped) return 'stopped-already';
    if (this.#overlooked.shift() === true) {
      this.#pending += 1;
      return 'no-answer';
    }
    this.isStopped = true;
    return 'stopped';
  }

  async go(): Promise<GoAnswer> {
    const answer = this.isStopped ? 'goes' : 'was-not-stopped';
    this.isStopped = false;
    if (this.#pending > 0) {
      this.#pending -= 1;
      this.isStopped = true;
    }
    return answer;
  }
}

const { signal } = new AbortController();
const isGone = () => false;

test('a guest is stopped, and goes on', async () => {
  const kernel = new PretendKernel({});
  const guest = new StopAndGo(kernel);
  expect(await guest.stop(signal)).toBe('stopped');
  expect(kernel.isStopped).toBe(true);
  expect(await guest.go(isGone)).toBe(true);
  expect(kernel.isStopped).toBe(false);
});

describe('an order to stop that is overlooked', () => {
  test.each([1, 2])('%i times is repeated, and the guest runs in the end', async (times) => {
    const kernel = new PretendKernel({ overlooked: Array<boolean>(times).fill(true) });
    const guest = new StopAndGo(kernel);
    expect(await guest.stop(signal)).toBe('stopped');
    expect(await guest.go(isGone)).toBe(true);
    expect(kernel.isStopped).toBe(false);
    expect(await kernel.go()).toBe('was-not-stopped');
  });

  test("and is carried out before the repeated one still counts as vmferry's own", async () => {
    const answers: StopAnswer[] = ['no-answer', 'stopped-already'];
    const kernel = new PretendKernel({ isStopped: true });
    const guest = new StopAndGo({
      stop: async () => answers.shift() ?? 'stopped-already',
      go: () => kernel.go(),
    });
    expect(await guest.stop(signal)).toBe('stopped');
    expect(await guest.go(isGone)).toBe(true);
    expect(kernel.isStopped).toBe(false);
  });
});

test('a guest that something else has stopped stays stopped', async () => {
  const kernel = new PretendKernel({ isStopped: true });
  const guest = new StopAndGo(kernel);
  expect(await guest.stop(signal)).toBe('stopped-already');
  expect(await guest.go(isGone)).toBe(true);
  expect(kernel.isStopped).toBe(true);
});

test('a guest that has ended need not go on', async () => {
  const guest = new StopAndGo({ stop: async () => 'stopped', go: async () => 'no-answer' });
  await guest.stop(signal);
  expect(await guest.go(() => true)).toBe(true);
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import process from 'node:process';
import { Failure } from '../../../src/failure.ts';
import type { FreezingDriver } from '../../../src/guest/guest-driver.ts';
import { poll } from '../../../src/pipeline/polling.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import type { BackupStore } from '../../../src/store/store.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { FaultyStore } from '../../support/stores/faulty-store.ts';
import { imageTools, seededBytes } from '../../support/images/images.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

let world: BackupWorld;
/** The orders that the guests were given, and a function to call when a guest was frozen or halted. */
let guests: { history: readonly string[]; onHeld: () => void };

beforeEach(() => {
  world = new BackupWorld();
  const image = join(world.path, 'alpha.img');
  writeFileSync(image, seededBytes(5, 512 * 1024));
  const driver = fakeDriver(fakeDefinition('alpha', [image]));
  guests = { history: driver.history, onHeld: () => undefined };
  const holding: FreezingDriver = {
    ...driver,
    async freeze(...args) {
      const frozen = await driver.freeze(...args);
      guests.onHeld();
      return frozen;
    },
    async halt(...args) {
      await driver.halt(...args);
      guests.onHeld();
    },
  };
  world.dependencies.drivers = [holding];
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const ways = [
  { hold: 'pause', history: ['freeze alpha', 'go alpha'], runs: 'alpha goes on' },
  { hold: 'halt', history: ['halt alpha', 'start alpha'], runs: 'alpha was started again' },
] as const;

/** A store that stops answering once the guest is held; `answer` makes the pending requests fail. */
function silentStore(): { store: BackupStore; answer: () => void } {
  const inner = openDirectoryStore(world.storePath);
  let isSilent = false;
  let answer: () => void = () => undefined;
  const silence = new Promise<never>((_, reject) => {
    answer = () => reject(new Failure('connection-lost', 'The line is lost.'));
  });
  silence.catch(() => undefined);
  guests.onHeld = () => (isSilent = true);
  const store: BackupStore = {
    location: inner.location,
    shortcomings: inner.shortcomings,
    put: (...args) => (isSilent ? silence : inner.put(...args)),
    get: (...args) => inner.get(...args),
    remove: (...args) => (isSilent ? silence : inner.remove(...args)),
    list: (...args) => (isSilent ? silence : inner.list(...args)),
    rename: (...args) => (isSilent ? silence : inner.rename(...args)),
    removeFolder: (...args) => (isSilent ? silence : inner.removeFolder(...args)),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  return { store, answer };
}

const gone = () =>
  poll(() => Promise.resolve(guests.history.length === 2), {
    timeoutMs: 20_000,
    intervalMs: 5,
    signal: new AbortController().signal,
  });

describeWithTools('a guest that waits for its backup', imageTools, () => {
  test.each(ways)('runs again when nothing reaches the store: $hold', async ({ hold, history, runs }) => {
    const store = new FaultyStore(openDirectoryStore(world.storePath), 1);
    guests.onHeld = () => (store.faults = { stall: 1 });
    const failure = await failureOf(() => world.backup('alpha', { hold, store, maxPauseMs: 300 }));
    expect(failure).toMatchObject({
      code: 'connection-lost',
      message: expect.stringMatching(`${world.storePath} accepted no data for 1 s.*${runs}; no snapshot`),
      advice: expect.stringContaining('--max-pause'),
    });
    expect(guests.history).toEqual(history);
    store.faults = {};
    // From now on nothing fails.
    guests.onHeld = () => undefined;
    expect((await world.backup('alpha', { hold, store, maxPauseMs: 300 })).guests).toHaveLength(1);
  });

  test.each(ways)(
    'runs again before the clean-up over a dead line ends: $hold',
    async ({ hold, history }) => {
      const { store, answer } = silentStore();
      const backup = failureOf(() => world.backup('alpha', { hold, store, maxPauseMs: 300 }));
      await gone();
      expect(guests.history).toEqual(history);
      answer();
      expect(await backup).toMatchObject({ code: 'connection-lost', transient: true });
    },
  );

  test.each(ways)(
    'runs again at once when its backup is interrupted: $hold',
    async ({ hold, history, runs }) => {
      const { store, answer } = silentStore();
      const abort = new AbortController();
      const reason = new Failure('interrupted', 'Interrupted.');
      const held = guests.onHeld;
      guests.onHeld = () => {
        held();
        setImmediate(() => abort.abort(reason));
      };
      const backup = failureOf(() => world.backup('alpha', { hold, store, signal: abort.signal }));
      await gone();
      expect(guests.history).toEqual(history);
      answer();
      expect(await backup).toMatchObject({ message: expect.stringMatching(`^Interrupted. ${runs}`) });
    },
  );

  test.each(ways)(
    'is not left waiting by Ctrl-Z, which is refused during the wait: $hold',
    async ({ hold }) => {
      const listening: number[] = [];
      guests.onHeld = () => {
        listening.push(process.listenerCount('SIGTSTP'));
        process.emit('SIGTSTP');
      };
      await world.backup('alpha', { hold });
      listening.push(process.listenerCount('SIGTSTP'));
      expect(listening).toEqual([1, 0]);
      expect(world.events).toContainEqual({
        type: 'notice',
        message: expect.stringMatching(/^Ctrl-Z has no effect now: alpha/),
      });
    },
  );
});

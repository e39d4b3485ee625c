import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { fakeDefinition, fakeDriver, type FakeDriver } from '../../support/guests/fake-driver.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { imageTools, seededBytes } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

let world: BackupWorld;
let driver: FakeDriver;
let beforeStart: (name: string) => Promise<void> | void;

beforeEach(() => {
  world = new BackupWorld();
  beforeStart = () => undefined;
  const names = ['alpha', 'beta'];
  for (const name of names) writeFileSync(imageOf(name), seededBytes(name.length, 512 * 1024));
  const plain = fakeDriver(...names.map((name) => fakeDefinition(name, [imageOf(name)])));
  driver = {
    ...plain,
    async start(definition, ...rest) {
      await beforeStart(definition.name);
      return plain.start(definition, ...rest);
    },
  };
  world.dependencies.drivers = [driver];
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

function imageOf(name: string): string {
  return join(world.path, `${name}.img`);
}

function refuseToStart(): void {
  throw new Failure('start-failed', 'There is no memory left.');
}

async function snapshotsOf(name: string): Promise<string[]> {
  return (await world.session()).folder(name).snapshotIds(world.context().signal);
}

describeWithTools('a halted guest that cannot be started again', imageTools, () => {
  test('gets its snapshot nevertheless, and no other guest is halted', async () => {
    beforeStart = refuseToStart;
    const failure = await failureOf(() => world.backup(['alpha', 'beta'], { hold: 'halt' }));
    expect(failure.code).toBe('guest-left-down');
    const [made] = await snapshotsOf('alpha');
    expect(failure.message).toContain(`alpha@${made}`);
    expect(driver.history).toEqual(['halt alpha']);
    expect([...driver.running.keys()]).toEqual(['beta']);
  });

  test('is reported after the guests that were backed up', async () => {
    beforeStart = (name) => (name === 'beta' ? refuseToStart() : undefined);
    const { guests, failed } = await world.backup(['alpha', 'beta', 'gamma'], { hold: 'halt' });
    expect(guests).toMatchObject([{ guest: 'alpha' }]);
    expect(failed).toMatchObject([
      { guest: 'beta', code: 'guest-left-down' },
      { guest: 'gamma', code: 'guest-left-down' },
    ]);
  });

  test('is reported before all other failures', async () => {
    beforeStart = refuseToStart;
    const whole = openDirectoryStore(world.storePath);
    const store = new Proxy(whole, {
      get: (target, name: keyof typeof whole) =>
        name === 'put'
          ? (path: string, ...rest: [Uint8Array[], { signal: AbortSignal }]) =>
              path.includes('/packs/')
                ? Promise.reject(new Failure('target-full', 'It is full.'))
                : target.put(path, ...rest)
          : typeof target[name] === 'function'
            ? (target[name] as () => unknown).bind(target)
            : target[name],
    });
    const failure = await failureOf(() => world.backup('alpha', { hold: 'halt', store }));
    expect(failure.code).toBe('guest-left-down');
    expect(failure.message).toContain('It is full.');
  });

  test('is not started if it was moved away meanwhile', async () => {
    const move = { destination: 'elsewhere', directory: null, sshConfigFile: null, remoteCommand: null };
    const { records } = world.dependencies;
    const session = await world.session();
    world.dependencies.drivers = [
      {
        ...driver,
        halt: async (guest, ...rest) => {
          await driver.halt(guest, ...rest);
          await records.write({ definition: guest.definition, state: 'moved', move });
        },
      },
    ];
    const failure = await failureOf(() => world.backup('alpha', { hold: 'halt', store: session.store }));
    expect(failure.message).toContain('elsewhere');
    expect(driver.history).toEqual(['halt alpha']);
  });
});

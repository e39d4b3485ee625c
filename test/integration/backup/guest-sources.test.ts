import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { guestFolder } from '../../../src/repository/files/layout.ts';
import { snapshotText } from '../../../src/repository/snapshot.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import type { BackupStore, PutOptions } from '../../../src/store/store.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { imageTools, seededBytes } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const newHost = { host: 'new.example', id: 'b'.repeat(32) };

let world: BackupWorld;

beforeEach(() => {
  world = new BackupWorld();
  world.machine = { host: 'old.example', id: 'a'.repeat(32) };
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

let seed = 1;

/** An image at that place below the scratch directory. */
function makeImage(path: string): string {
  const image = join(world.path, path);
  mkdirSync(dirname(image), { recursive: true });
  writeFileSync(image, seededBytes(seed++, 128 * 1024));
  return image;
}

function snapshots(guest: string): string[] {
  return readdirSync(join(world.storePath, guestFolder(guest), 'snapshots')).toSorted();
}

async function latest(guest: string) {
  const folder = (await world.session()).folder(guest);
  const ids = await folder.snapshotIds(world.context().signal);
  return folder.readSnapshot(ids.at(-1) ?? '', world.context().signal);
}

function web(image: string): GuestDefinition {
  return fakeDefinition('web', [image]);
}

/** The store in the directory. Before or after the first put of a matching name, it calls `happens`. */
function storeThat(when: 'before' | 'after', pattern: RegExp, happens: () => Promise<unknown>): BackupStore {
  const store = openDirectoryStore(world.storePath);
  const put = store.put.bind(store);
  let isDone = false;
  store.put = async (name: string, parts: readonly Uint8Array[], options: PutOptions) => {
    const isNow = !isDone && pattern.test(name);
    isDone ||= isNow;
    if (isNow && when === 'before') await happens();
    await put(name, parts, options);
    if (isNow && when === 'after') await happens();
  };
  return store;
}

describeWithTools('two images with the same file name', imageTools, () => {
  let mail: string;
  let other: string;
  beforeEach(() => {
    mail = makeImage('mail/disk.img');
    other = makeImage('web/disk.img');
  });

  test('do not become one guest: the second is refused, and may get a name of its own', async () => {
    await world.backup(mail);
    const failure = await failureOf(() => world.backup(other));
    expect(failure).toMatchObject({ code: 'target-exists' });
    expect(failure.message).toContain(mail);
    expect(failure.message).toContain(other);
    expect(failure.advice).toContain('--name web-disk.img');
    expect(failure.advice).toContain('--adopt');
    const { guests } = await world.backup(other, { name: 'web' });
    expect(guests).toMatchObject([{ guest: 'web' }]);
    await world.backup(other, { name: 'web' });
    await world.backup(mail);
    expect(snapshots('disk.img')).toHaveLength(2);
    expect(snapshots('web')).toHaveLength(2);
    const restored = world.restoreByScript('web', guests[0]?.snapshot ?? '');
    expect(readFileSync(join(restored, 'disk.img'))).toEqual(readFileSync(other));
  });

  test('in one command are both refused, and the other guests are backed up', async () => {
    const third = makeImage('third.img');
    const { guests, failed } = await world.backup([mail, third, other]);
    expect(guests).toMatchObject([{ guest: 'third.img' }]);
    expect(failed).toMatchObject([
      { guest: mail, code: 'usage' },
      { guest: other, code: 'usage' },
    ]);
    expect(failed[0]?.message).toContain('would both be stored under the name disk.img');
  });

  test('are the same image if one path is a link to the other', async () => {
    const link = join(world.path, 'link/disk.img');
    mkdirSync(dirname(link));
    symlinkSync(mail, link);
    await world.backup(mail);
    await world.backup(link);
    expect(snapshots('disk.img')).toHaveLength(2);
  });

  test('are distinguished by an earlier snapshot if the latest cannot be read', async () => {
    await world.backup(mail);
    await world.backup(mail);
    const folder = join(world.storePath, guestFolder('disk.img'), 'snapshots');
    writeFileSync(join(folder, snapshots('disk.img')[1] ?? ''), '{}');
    expect(await failureOf(() => world.backup(other))).toMatchObject({ code: 'target-exists' });
  });

  test('do not both get the name if their first backups run at the same time', async () => {
    const meanwhile = storeThat('before', /\/announced\//, () => world.backup(other));
    const failure = await failureOf(() => world.backup(mail, { store: meanwhile }));
    expect(failure).toMatchObject({ code: 'target-exists' });
    expect(snapshots('disk.img')).toHaveLength(1);
    expect((await latest('disk.img')).definition.disks[0]?.path).toBe(other);
  });

  test('are distinguished while one is about to get the name: the other is refused', async () => {
    let code = '';
    const meanwhile = storeThat('after', /\/announced\//, async () => {
      ({ code } = await failureOf(() => world.backup(other)));
    });
    await world.backup(mail, { store: meanwhile });
    expect(code).toBe('target-exists');
    expect((await latest('disk.img')).definition.disks[0]?.path).toBe(mail);
  });
});

describeWithTools('a guest of the same name on another host', imageTools, () => {
  let image: string;
  beforeEach(async () => {
    image = makeImage('web.img');
    await world.dependencies.records.write({ definition: web(image), state: 'halted' });
  });

  test('is refused unless adopted; from then on the first host is refused', async () => {
    await world.backup('web');
    const oldHost = world.machine;
    world.machine = newHost;
    const failure = await failureOf(() => world.backup('web'));
    expect(failure.message).toContain('on old.example');
    expect(failure.message).toContain('on new.example');
    expect(failure.advice).toContain('--name web-new.example');
    await world.backup('web', { adopt: true });
    await world.backup('web');
    world.machine = oldHost;
    expect(await failureOf(() => world.backup('web'))).toMatchObject({ code: 'target-exists' });
    expect(snapshots('web')).toHaveLength(3);
  });

  test('is refused before it is halted', async () => {
    await world.backup('web');
    world.machine = newHost;
    const driver = fakeDriver(web(image));
    world.dependencies.drivers = [driver];
    expect(await failureOf(() => world.backup('web', { hold: 'halt' }))).toMatchObject({
      code: 'target-exists',
    });
    expect(driver.history).toEqual([]);
  });

  test('is distinguished even if both hosts have the same name', async () => {
    await world.backup('web');
    world.machine = { ...world.machine, id: 'c'.repeat(32) };
    const failure = await failureOf(() => world.backup('web'));
    expect(failure.message).toContain('on another machine that is also called old.example');
    world.machine = { ...world.machine, id: null };
    await world.backup('web');
    expect((await latest('web')).machine).toBeUndefined();
  });

  test('is distinguished by the host’s name if the snapshot has nothing else', async () => {
    await world.backup('web');
    const { machine: _, ...old } = await latest('web');
    const file = join(world.storePath, guestFolder('web'), 'snapshots', `${old.id}.json`);
    writeFileSync(file, snapshotText(old));
    world.machine = { ...world.machine, id: 'c'.repeat(32) };
    await world.backup('web');
    writeFileSync(join(world.path, 'moved.img'), readFileSync(image));
    world.machine = newHost;
    expect(await failureOf(() => world.backup('web'))).toMatchObject({ code: 'target-exists' });
  });

  test('continues the snapshots if its record says that it was moved there', async () => {
    await world.backup('web');
    const { host, id } = world.machine;
    world.machine = newHost;
    const definition = web(makeImage('there/web.img'));
    const sources = [{ host, machine: id, images: [image] }];
    await world.dependencies.records.write({ definition, state: 'running', sources });
    // Starting and halting the guest write such a record, too.
    await world.dependencies.records.write({ definition, state: 'halted' });
    await world.backup('web');
    await world.backup('web');
    expect(snapshots('web')).toHaveLength(3);
  });

  test('is the same guest with an additional disk', async () => {
    await world.backup('web');
    const { disks } = web(image);
    const second = { device: 'ubd1', path: makeImage('data.img'), readOnly: false };
    const definition = { ...web(image), disks: [...disks, second] };
    await world.dependencies.records.write({ definition, state: 'halted' });
    await world.backup('web');
    expect((await latest('web')).disks).toHaveLength(2);
  });
});

import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startBackupHosts, type BackupHosts } from '../support/stores/backup-hosts.ts';
import { errorOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import { seededBytes } from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { openOffsiteAccount } from '../support/stores/offsite-account.ts';
import { testSeed } from '../support/seeded-random.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const MIB = 2 ** 20;
const seed = testSeed();

/** Backs up disks without a guest: trouble with the store does not depend on the guest. */
describeUnless(networkLabMissing() ?? toolsMissing('mke2fs'), 'a store in trouble', () => {
  let world: BackupHosts;
  let image: string;

  beforeAll(async () => {
    console.log(`seed of the images: ${seed}`);
    world = await startBackupHosts();
    image = join(world.hosts.old.images, 'disk.img');
  });
  beforeEach(() => {
    writeFileSync(image, seededBytes(seed, 4 * MIB));
  });
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
  });

  const run = async (...args: string[]) => world.hosts.run([...args, ...world.access, '--json']);
  const backup = (store = world.store) => run('backup', image, '--to', store, '--encrypt');
  const filesOf = (directory: string) => readdirSync(directory, { recursive: true }).map(String).toSorted();

  test('a wrong passphrase: nothing is read or written', async () => {
    await world.backup(image);
    const before = filesOf(world.account.writable);
    const wrong = join(world.hosts.old.home, 'wrong');
    writeFileSync(wrong, 'incorrect\n', { mode: 0o600 });
    const { store, account, hosts } = world;
    for (const command of [
      ['backup', image, '--to', store],
      ['list', store],
      ['restore', store, 'disk.img', '--to', join(hosts.old.images, 'restored.img')],
      ['prune', store, '--keep-last', '1'],
    ]) {
      const access = ['--passphrase-file', wrong, '-F', account.server.sshConfigFile];
      expect(errorOf(await hosts.run([...command, ...access, '--json'])).code).toBe('key-wrong');
    }
    const none = ['--passphrase-file', join(hosts.old.home, 'none'), '-F', account.server.sshConfigFile];
    expect(errorOf(await hosts.run(['list', store, ...none, '--json']))).toMatchObject({
      code: 'key-missing',
      message: expect.stringMatching(/^There is no file .*none\.$/),
    });
    expect(filesOf(account.writable)).toEqual(before);
    expect(readdirSync(hosts.old.images)).toEqual(['disk.img']);
  });

  test('a backup killed while it sends: the next one sends the rest', async () => {
    const bulk = join(world.hosts.old.images, 'bulk.img');
    writeFileSync(bulk, seededBytes(seed + 1, 160 * MIB));
    await world.hosts.lab.rate('400mbit');
    const command = world.hosts.start(['backup', bulk, '--to', world.store, ...world.access, '--json']);
    // The first sixteen packs of 8 MiB have arrived; four more are missing.
    const index = join(world.storeDirectory, 'guests', 'bulk.img', 'index');
    const isIndexed = () => existsSync(index) && readdirSync(index).some((name) => !name.includes('.part-'));
    await eventually('an index is written', 60_000, isIndexed);
    command.child.kill('SIGKILL');
    await command.ended;
    await world.hosts.lab.rate(null);
    expect(await world.snapshots('bulk.img')).toEqual([]);
    const made = await world.backup(bulk);
    expect(made.newPlainBytes).toBeLessThanOrEqual(40 * MIB);
    rmSync(bulk);
    const forgotten = await run('forget', world.store, 'bulk.img', '--yes-forget', 'bulk.img');
    expect(resultOf(forgotten)).toBeDefined();
    expect(readdirSync(join(world.storeDirectory, 'guests'))).toEqual(['disk.img']);
  });

  test('a lying server: a plain store in place of the encrypted one, yesterday’s store in place of today’s', async () => {
    const { hosts, store, storeDirectory } = world;
    const yesterday = join(hosts.new.home, 'yesterday');
    const putBack = (directory: string) => {
      rmSync(storeDirectory, { recursive: true });
      cpSync(directory, storeDirectory, { recursive: true, preserveTimestamps: true });
      chmodOpen(storeDirectory);
    };
    cpSync(storeDirectory, yesterday, { recursive: true, preserveTimestamps: true });
    writeFileSync(image, seededBytes(seed + 2, 4 * MIB));
    const { snapshot } = await world.backup(image);

    putBack(yesterday);
    const listed = await run('list', store);
    expect(listed.exitStatus).toBe(0);
    expect(warningsOf(listed)).toMatchObject([
      { code: 'store-went-back', message: expect.stringContaining(snapshot) },
    ]);
    const again = await backup();
    // Reported once, and not again for its own snapshot.
    expect(warningsOf(again).filter(({ code }) => code === 'store-went-back')).toHaveLength(1);
    expect(resultOf(again)).toMatchObject({ type: 'backed-up' });
    // There is a newer snapshot now.
    expect(warningsOf(await run('list', store))).toEqual([]);
    expect(await world.damage()).toEqual([]);
    const today = join(hosts.new.home, 'today');
    cpSync(storeDirectory, today, { recursive: true, preserveTimestamps: true });

    const marker = join(storeDirectory, 'vmferry-store.json');
    const plain = { ...(JSON.parse(readFileSync(marker, 'utf8')) as object), encryption: null };
    writeFileSync(marker, JSON.stringify(plain));
    for (const command of [
      ['backup', image, '--to', store],
      ['list', store],
    ])
      expect(errorOf(await run(...command))).toMatchObject({ code: 'store-damaged', exitStatus: 20 });
    // A machine that has never seen the store, but has a passphrase for it.
    const elsewhere = await hosts.runOnNew(['list', store, ...world.access, '--json']);
    expect(errorOf(elsewhere)).toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/not encrypted/),
    });
    putBack(today);
    expect(await world.damage()).toEqual([]);
  });

  test('a read-only account can restore and verify, but not back up', async () => {
    const { hosts, account } = world;
    await using reading = await openOffsiteAccount(hosts.lab, {
      isReadOnly: true,
      directory: account.directory,
      port: 2201,
    });
    const access = ['--passphrase-file', world.passphraseFile, '-F', reading.server.sshConfigFile, '--json'];
    const before = filesOf(account.writable);
    const refused = await hosts.run(['backup', image, '--to', world.store, ...access]);
    expect(errorOf(refused)).toMatchObject({ code: 'target-not-writable', exitStatus: 14 });
    const target = join(hosts.old.images, 'restored.img');
    const restored = await hosts.run(['restore', world.store, 'disk.img', '--to', target, ...access]);
    expect(resultOf(restored)).toMatchObject({ type: 'restored' });
    rmSync(target);
    const verified = await hosts.run(['verify', world.store, '--read-data', ...access]);
    expect(resultOf(verified)).toMatchObject({ guests: [{ problems: [], damaged: [] }] });
    expect(filesOf(account.writable)).toEqual(before);
  });

  test('a full disk, and a disk that is not mounted', async () => {
    const { account, hosts } = world;
    const disk = await account.mountSmall(16 * MIB);
    const store = `${account.login}:backups/small`;
    expect(resultOf(await run('init', store, '--encrypt'))).toMatchObject({ type: 'store-made' });
    expect(resultOf(await backup(store))).toMatchObject({ type: 'backed-up' });
    const big = join(hosts.old.images, 'big.img');
    writeFileSync(big, seededBytes(seed + 3, 24 * MIB));
    const full = await run('backup', big, '--to', store);
    expect(errorOf(full)).toMatchObject({ code: 'target-full', exitStatus: 14 });
    const verified = await run('verify', store, '--read-data');
    expect(verified.exitStatus).toBe(0);
    expect(resultOf(await run('forget', store, 'big.img', '--yes-forget', 'big.img'))).toBeDefined();
    writeFileSync(image, seededBytes(seed + 4, 4 * MIB));
    expect(resultOf(await backup(store))).toMatchObject({ type: 'backed-up' });

    await disk.unmount();
    for (const command of [
      ['backup', image, '--to', store, '--encrypt'],
      ['init', store, '--encrypt'],
      ['list', store],
      ['restore', store, 'disk.img', '--to', join(hosts.old.images, 'restored.img')],
    ])
      expect(errorOf(await run(...command))).toMatchObject({ code: 'store-missing', exitStatus: 19 });
    // No new store was made below the mount point.
    expect(filesOf(account.writable).filter((name) => name.startsWith('small/'))).toEqual([]);
    await disk.mountAgain();
    expect(resultOf(await backup(store))).toMatchObject({ type: 'backed-up' });
    await disk.unmount();
  });
});

/** Gives files that root copied back to the account. */
function chmodOpen(directory: string): void {
  chmodSync(directory, 0o777);
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o777 : 0o666);
}

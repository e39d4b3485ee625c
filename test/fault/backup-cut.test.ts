import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { backupHasBegun, startBackupHosts, type BackupHosts } from '../support/stores/backup-hosts.ts';
import { errorOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { findUsers } from '../../src/image/usage/usage.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import { bootObedientGuest, type ObedientGuest } from '../support/guests/obedient-guest.ts';
import { mountingMissing, mountNew } from '../support/images/reflink-file-system.ts';
import { seededRandom, testSeed } from '../support/seeded-random.ts';
import { describeUnless } from '../support/programs/tools.ts';
import type { RunningCommand } from '../support/ssh/two-hosts.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';

const missing = umlMissing() ?? networkLabMissing() ?? mountingMissing('xfs');
const MIB = 2 ** 20;
const kills = 3;

describeUnless(missing, 'a broken-off backup of a running guest', () => {
  let xfs: ReturnType<typeof mountNew>;
  let world: BackupHosts;
  let guest: ObedientGuest;

  beforeAll(async () => {
    xfs = mountNew('xfs');
    world = await startBackupHosts();
    const { hosts } = world;
    guest = await bootObedientGuest({
      path: join(xfs.path, 'web.img'),
      name: 'web',
      sizeBytes: 128 * 2 ** 20,
      dataBytes: 2 ** 16,
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
    });
    await world.backup('web');
  });
  afterEach(async () => {
    await world.hosts.lab.rate(null);
    // The guest runs after each test.
    await guest.sh('true');
  });
  afterAll(async () => {
    await guest.stop();
    await world[Symbol.asyncDispose]();
    xfs[Symbol.dispose]();
  });

  /** Clones that are being read or were left, and bases of published snapshots. */
  const clones = () => readdirSync(xfs.path).filter((name) => name.endsWith('.clone'));
  const bases = () => readdirSync(xfs.path).filter((name) => name.endsWith('.base'));

  /** Starts a backup over a slow line, with this much new data in the guest. */
  async function startSlowBackup(newMib: number, rate = '24mbit'): Promise<RunningCommand> {
    await guest.sh(`busybox dd if=/dev/urandom of=/data/new bs=64k count=${16 * newMib} conv=notrunc`);
    await world.hosts.lab.rate(rate);
    return world.hosts.start(['backup', 'web', '--to', world.store, ...world.access, '--json']);
  }

  test('continues when the line is back', async () => {
    const { lab } = world.hosts;
    const before = await world.snapshots('web');
    const command = await startSlowBackup(5);
    await command.printed(backupHasBegun);
    await lab.cut();
    await lab.reset();
    await command.printed(/Trying again in/);
    await guest.sh('true');
    await lab.mend();
    const ended = await command.ended;
    expect(resultOf(ended)).toMatchObject({ type: 'backed-up', guests: [{ consistency: 'frozen' }] });
    expect(warningsOf(ended).map(({ message }) => message)).toEqual([
      expect.stringMatching(/Trying again in/),
    ]);
    expect(await world.snapshots('web')).toHaveLength(before.length + 1);
  });

  test('ends at Ctrl-C while it waits for the line', async () => {
    const { lab } = world.hosts;
    const before = await world.snapshots('web');
    const command = await startSlowBackup(5);
    await command.printed(backupHasBegun);
    await lab.cut();
    await lab.reset();
    await command.printed(/Trying again in/);
    command.signal('SIGINT');
    const ended = await command.ended;
    await lab.mend();
    expect(errorOf(ended)).toMatchObject({ code: 'interrupted', exitStatus: 130 });
    expect(clones()).toEqual([]);
    expect(await world.snapshots('web')).toEqual(before);
  });

  test('ends at Ctrl-C while it sends; the next backup sends the rest', async () => {
    const before = await world.snapshots('web');
    // A little more than four packs of 8 MiB, three at a time: when the fourth is being sent, one has arrived.
    const command = await startSlowBackup(32, '60mbit');
    await command.printed(/"sentBytes":(?:2[89]|3\d)\d{6}\b/);
    command.signal('SIGINT');
    command.signal('SIGINT');
    expect(errorOf(await command.ended)).toMatchObject({ code: 'interrupted', exitStatus: 130 });
    expect(clones()).toEqual([]);
    expect(await world.snapshots('web')).toEqual(before);
    await world.hosts.lab.rate(null);
    const { newPlainBytes } = await world.backup('web');
    expect(newPlainBytes).toBeLessThan(26 * MIB);
  });

  test(`survives SIGKILL at ${kills} moments`, async () => {
    const seed = testSeed();
    console.log(`seed of the moments: ${seed}`);
    const random = seededRandom(seed);
    const before = await world.snapshots('web');
    const basesBefore = bases();
    let clonesLeft = 0;
    for (let kill = 0; kill < kills; kill++) {
      const leftEarlier = new Set(clones());
      const command = await startSlowBackup(5);
      await command.printed(/"type":"stage-started","stage":"freeze"/);
      await delay(random() * 2000);
      command.child.kill('SIGKILL');
      await command.ended;
      await guest.sh('true');
      // A check of its file system that was under way goes on for a moment, and holds on to its clone.
      await eventually('the clones are not used', 30_000, async () => {
        const users = await Promise.all(clones().map((name) => findUsers(join(xfs.path, name))));
        return users.flat().length === 0;
      });
      clonesLeft += clones().length;
      // Those of earlier kills are gone. While a journal is replayed there are two: the image, and its file system.
      expect(clones().filter((name) => leftEarlier.has(name))).toEqual([]);
      expect(clones().length).toBeLessThanOrEqual(2);
      expect(bases()).toEqual(basesBefore);
      expect(await world.snapshots('web')).toEqual(before);
    }
    expect(clonesLeft).toBeGreaterThan(0);
  });

  test('after SIGKILL the next backup reports the clone that was left', async () => {
    const command = await startSlowBackup(5);
    await command.printed(backupHasBegun);
    command.child.kill('SIGKILL');
    await command.ended;
    expect(clones()).toHaveLength(1);
    await world.hosts.lab.rate(null);
    const next = await world.hosts.run(['backup', 'web', '--to', world.store, ...world.access, '--json']);
    expect(warningsOf(next).map(({ message }) => message)).toEqual([
      expect.stringMatching(/was left by a vmferry that was killed, and has been removed/),
    ]);
    expect(resultOf(next)).toMatchObject({ guests: [{ consistency: 'frozen' }] });
  });

  test('after all this the next backup is good, the store is sound, and nothing is left behind', async () => {
    const { snapshot } = await world.backup('web');
    expect(readdirSync(xfs.path).toSorted()).toEqual([expect.stringContaining(snapshot), 'web.img']);
    expect(await world.damage()).toEqual([]);
  });
});

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backupHasBegun, startBackupHosts, type BackupHosts } from '../support/stores/backup-hosts.ts';
import { errorOf, recordsOf, resultOf } from '../support/programs/command-records.ts';
import { runTool } from '../support/images/images.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { bootObedientGuest, type ObedientGuest } from '../support/guests/obedient-guest.ts';
import { mountingMissing, mountNew } from '../support/images/reflink-file-system.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';

const missing = umlMissing() ?? networkLabMissing() ?? mountingMissing('ext4') ?? toolsMissing('e2fsck');

/** A guest with images on ext4. The tests build on each other: the guest runs until the last but one halts it. */
describeUnless(missing, 'a guest whose file system has no reflinks', () => {
  let ext4: ReturnType<typeof mountNew>;
  let world: BackupHosts;
  let guest: ObedientGuest;
  let image: string;

  beforeAll(async () => {
    ext4 = mountNew('ext4');
    world = await startBackupHosts();
    const { hosts } = world;
    image = join(ext4.path, 'mail.img');
    guest = await bootObedientGuest({
      path: image,
      name: 'mail',
      dataBytes: 4 * 2 ** 20,
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
    });
  });
  afterAll(async () => {
    await guest.stop();
    await world[Symbol.asyncDispose]();
    ext4[Symbol.dispose]();
  });

  async function expectSound(restored: string, boots: number): Promise<void> {
    runTool('e2fsck', ['-fn', restored]);
    expect(await damagedGuestFiles(restored, guest.image.files)).toEqual([]);
    expect(await guestBootCount(restored)).toBe(boots);
  }

  test('is refused without --pause, and is left alone', async () => {
    const { hosts, store, access } = world;
    const ended = await hosts.run(['backup', 'mail', '--to', store, '--encrypt', ...access, '--json']);
    expect(errorOf(ended)).toMatchObject({
      code: 'guest-unsupported',
      exitStatus: 10,
      advice: expect.stringMatching(/--pause.*--halt/),
    });
    await guest.sh('true');
    expect(readdirSync(world.storeDirectory)).not.toContain('guests');
  });

  test('with --pause stands still while it is read, then goes on', async () => {
    const made = await world.backup('mail', '--pause');
    expect(made.consistency).toBe('frozen');
    await guest.sh('true');
    // Not clean: the next boot replays its journal.
    const { target } = await world.restore(
      `mail@${made.snapshot}`,
      join(world.hosts.new.images, 'paused.img'),
    );
    runTool('e2fsck', ['-fp', '-E', 'journal_only', target]);
    await expectSound(target, 1);
  });

  test('with --pause goes on soon after the line is cut, without waiting for the line', async () => {
    const { hosts, store, access } = world;
    const before = await world.snapshots('mail');
    await guest.sh('busybox dd if=/dev/urandom of=/data/new bs=64k count=16');
    await hosts.lab.rate('1mbit');
    const args = ['backup', 'mail', '--to', store, '--pause', '--max-pause', '3', ...access, '--json'];
    const command = hosts.start(args);
    await command.printed(backupHasBegun);
    // Ctrl-Z does not leave the guest frozen.
    command.signal('SIGTSTP');
    await command.printed(/Ctrl-Z has no effect now/);
    await hosts.lab.cut();
    await guest.sh('true');
    expect(errorOf(await command.ended)).toMatchObject({
      code: 'connection-lost',
      exitStatus: 12,
      message: expect.stringMatching(/for 3 s, while mail was paused to be read\. mail goes on/),
    });
    await hosts.lab.mend();
    await hosts.lab.rate(null);
    expect(await world.snapshots('mail')).toEqual(before);
    await world.backup('mail', '--pause');
  });

  test('with --halt is down while it is read, and runs again', async () => {
    const made = await world.backup('mail', '--halt');
    expect(made.consistency).toBe('halted');
    expect(await world.hosts.guests()).toMatchObject([{ name: 'mail', state: 'running' }]);
    await guest.sh('[ "$(cat /boots)" = 2 ]');
    const { target } = await world.restore('mail', join(world.hosts.new.images, 'halted.img'));
    await expectSound(target, 1);
  });

  test('that is down is read completely', async () => {
    const { hosts } = world;
    expect((await hosts.run(['halt', 'mail'])).exitStatus).toBe(0);
    const made = await world.backup('mail', '--every-block');
    expect(made.consistency).toBe('halted');
    expect(await hosts.guests()).toMatchObject([{ name: 'mail', state: 'halted' }]);
    const { target } = await world.restore('mail', join(hosts.new.images, 'down.img'));
    expect((await readFile(target)).equals(await readFile(image))).toBe(true);
    expect(readdirSync(ext4.path).toSorted()).toEqual(['lost+found', 'mail.img']);
  });

  test('is restored over its changed disk, and only what differs is written', async () => {
    const { hosts, store, access } = world;
    const [first] = await world.snapshots('mail');
    const args = ['restore', store, `mail@${first}`, '--to', image, ...access, '--json'];
    expect(errorOf(await hosts.run(args)).code).toBe('target-exists');
    const ended = await hosts.run([...args, '--in-place', '--start']);
    const [disk] = resultOf<{ disks: { writtenBytes: number; unchangedBytes: number }[] }>(ended).disks;
    expect(disk?.writtenBytes).toBeLessThan((disk?.unchangedBytes ?? 0) / 2);
    expect(recordsOf(ended).filter(({ type }) => type === 'warning')).toEqual([]);
    await guest.sh('[ "$(cat /boots)" = 2 ]');
  });
});

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { ferriedGuest } from '../support/guests/ferried-guest.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';
import { damagedGuestFiles, guestBootCount, isFileSystemClean } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../support/guests/uml-processes.ts';

interface Moved {
  type: string;
  disks: {
    source: string;
    target: string;
    freeBytes: number;
    sizeBytes: number;
    holeBytes: number;
    readBytes: number;
  }[];
}

describeUnless(umlMissing() ?? networkLabMissing(), 'a guest that does not halt easily', () => {
  let hosts: TwoHosts;
  let watch: DoubleRunWatch;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    watch = watchForDoubleRun(['again', 'deaf'], [hosts.old.umlDir, hosts.new.umlDir]);
  });
  afterEach(() => {
    expect(watch.seen).toEqual([]);
  });
  afterAll(async () => {
    watch[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  test('is halted cleanly by its kernel if it reboots instead of halting', async () => {
    const guest = await ferriedGuest(hosts, 'again', { onCtrlAltDel: 'reboot', fileSystem: 'ext4' });
    const ended = await hosts.run(await guest.migrateArguments());
    expect(resultOf<Moved>(ended).disks[0]?.freeBytes).toBeGreaterThan(0);
    expect(warningsOf(ended)).toMatchObject([{ code: 'guest-rebooted' }]);
    expect(await isFileSystemClean(guest.image.path)).toBe(true);
    expect(guest.runsOn('old')).toBe(false);
    // It also reboots when it is halted there; its kernel may halt it before it has counted that boot.
    expect((await hosts.runOnNew(['halt', 'again', '--force-halt'])).exitStatus).toBe(0);
    const target = join(hosts.new.images, 'again.img');
    expect(await damagedGuestFiles(target, guest.image.files)).toEqual([]);
    const furtherBoots = (await guestBootCount(target)) - (await guestBootCount(guest.image.path));
    expect([1, 2]).toContain(furtherBoots);
  });

  test('keeps running if it ignores every order, unless it may be killed', async () => {
    const guest = await ferriedGuest(hosts, 'deaf', { onCtrlAltDel: 'ignore' });
    const pid = guest.pid();
    const refused = await hosts.run([...(await guest.migrateArguments()), '--halt-timeout', '2']);
    const error = errorOf(refused);
    expect(error).toMatchObject({ code: 'halt-failed', exitStatus: 11 });
    expect(error.advice).toContain('--force-halt');
    expect(guest.pid()).toBe(pid);
    expect(await guest.state()).toBe('running');
    expect(existsSync(join(hosts.new.images, 'deaf.img'))).toBe(false);

    const forced = await hosts.run([
      ...(await guest.migrateArguments()),
      '--halt-timeout',
      '2',
      '--force-halt',
    ]);
    const [disk] = resultOf<Moved>(forced).disks;
    expect(disk?.freeBytes).toBe(0);
    expect((disk?.readBytes ?? 0) + (disk?.holeBytes ?? 0)).toBe(disk?.sizeBytes);
    expect(warningsOf(forced)).toMatchObject([{ code: 'file-system-not-clean' }]);
    expect(await isFileSystemClean(guest.image.path)).toBe(false);
    // It replays its journal there, and runs.
    expect(guest.runsOn('old')).toBe(false);
    const console = readFileSync(join(hosts.new.stateDir, 'console', 'deaf.log'), 'latin1');
    expect(console).toMatch(/recovery complete/);
    expect(console).toMatch(/GUEST-UP boots=2/);
    const target = join(hosts.new.images, 'deaf.img');
    expect((await hosts.runOnNew(['halt', 'deaf', '--force-halt', '--halt-timeout', '1'])).exitStatus).toBe(
      0,
    );
    expect(await damagedGuestFiles(target, guest.image.files)).toEqual([]);
  });
});

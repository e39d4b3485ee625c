import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import process from 'node:process';
import { errorOf } from '../../support/programs/command-records.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  filesBesidePartial,
  receiversOf,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { damagedGuestFiles } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';

/** Breaks the move of one guest while its image is copied, before the halt or after it. After each test the guest runs where it ran. */
describeUnless(umlMissing() ?? networkLabMissing(), 'a copy that breaks', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let watch: DoubleRunWatch;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'web');
    watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
    // the guest has 6 MiB that do not compress, so the copy takes some seconds
    await hosts.lab.rate('16mbit');
  });
  afterEach(async () => {
    await guest.expectUnmoved();
    expect(watch.seen).toEqual([]);
  });
  afterAll(async () => {
    watch[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  test('the receiver is killed', async () => {
    const command = hosts.start(await guest.migrateArguments({ cold: true }));
    await command.printed(copyHasBegun);
    const startedMs = Date.now();
    for (const pid of await receiversOf(hosts)) process.kill(pid, 'SIGKILL');
    const error = errorOf(await command.ended);
    expect(error).toMatchObject({ code: 'receiver-died', exitStatus: 13 });
    expect(error.message).toContain('SIGKILL');
    expect(Date.now() - startedMs).toBeLessThan(30_000);
  });

  test('a pack is damaged on the way', async () => {
    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'pack', do: 'damage-pack' }] }));
    // The damaged pack may still unpack; then reading back finds the chunk.
    const code = expect.stringMatching(/^(pack-damaged|verification-failed)$/);
    expect(errorOf(await command.ended)).toMatchObject({ code, exitStatus: 15 });
  });

  test('the line is reset while the guest runs, which goes on', async () => {
    const pid = guest.pid();
    const command = hosts.start(await guest.migrateArguments());
    await command.printed(copyHasBegun);
    await hosts.lab.reset();
    expect(errorOf(await command.ended)).toMatchObject({ code: 'connection-lost', exitStatus: 12 });
    expect(guest.pid()).toBe(pid);
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
  });

  test('the line is cut for good', async () => {
    const command = hosts.start(await guest.migrateArguments({ cold: true }));
    await command.printed(copyHasBegun);
    await hosts.lab.cut();
    try {
      const cutMs = Date.now();
      expect(errorOf(await command.ended)).toMatchObject({ code: 'connection-lost', exitStatus: 12 });
      expect(guest.runsOn('old')).toBe(true);
      expect(Date.now() - cutMs).toBeLessThan(60_000);
      // Nothing reaches the receiver; it notices by itself.
      const clean = async () =>
        (await filesBesidePartial(hosts, 'web')).length === 0 && (await receiversOf(hosts)).length === 0;
      await eventually('the new host is clean', cutMs + 60_000 - Date.now(), clean);
    } finally {
      await hosts.lab.mend();
    }
  });

  test('the guest has lost nothing', async () => {
    expect((await hosts.run(['halt', 'web'])).exitStatus).toBe(0);
    expect(await damagedGuestFiles(guest.image.path, guest.image.files)).toEqual([]);
    expect((await hosts.run(['start', 'web'])).exitStatus).toBe(0);
  });
});

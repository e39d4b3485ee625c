import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, resultOf, warningsOf } from '../../support/programs/command-records.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  receiversOf,
  stageStarted,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { damagedGuestFiles, guestBootCount } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';

/** A line that is lost before the halt, and after it. */
describeUnless(umlMissing() ?? networkLabMissing(), 'a guest whose line is lost', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let watch: DoubleRunWatch;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'web');
    watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
    await hosts.lab.rate('16mbit');
  });
  afterEach(() => {
    expect(watch.seen).toEqual([]);
  });
  afterAll(async () => {
    watch[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  test('is started here again when it was down for --max-downtime', async () => {
    const argv = await guest.migrateArguments({ cold: true, retryFor: '1h' });
    const command = hosts.start([...argv, '--max-downtime', '5s']);
    await command.printed(copyHasBegun);
    await hosts.lab.cut();
    try {
      const error = errorOf(await command.ended);
      expect(error).toMatchObject({ code: 'connection-lost', exitStatus: 12 });
      expect(error.advice).toContain('the same command goes on');
      expect(guest.runsOn('old')).toBe(true);
      await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    } finally {
      await hosts.lab.mend();
    }
    await guest.expectUnmoved();
  });

  test('moves all the same when the line comes back while it is down', async () => {
    const command = hosts.start(await guest.migrateArguments({ cold: true, retryFor: '5m' }));
    await command.printed(copyHasBegun);
    await hosts.lab.cut();
    await command.printed(/"code":"line-lost"/);
    expect(guest.runsOn('old')).toBe(false);
    expect(guest.runsOn('new')).toBe(false);
    await hosts.lab.mend();
    const ended = await command.ended;
    expect(resultOf(ended)).toMatchObject({ type: 'moved' });
    await guest.expectMoved();
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
  });

  test('runs on here, and moves when the line holds', async () => {
    const pid = guest.pid();
    const boots = await guestBootCount(guest.image.path);
    const command = hosts.start(await guest.migrateArguments({ retryFor: '5m' }));
    await command.printed(copyHasBegun);
    await hosts.lab.reset();
    await command.printed(/"code":"line-lost"/);
    expect(guest.pid()).toBe(pid);
    await command.printed(stageStarted('halt'));
    const ended = await command.ended;
    expect(resultOf(ended)).toMatchObject({ type: 'moved' });
    expect(warningsOf(ended).filter(({ code }) => code === 'line-lost')).toHaveLength(1);
    await guest.expectMoved();
    resultOf(await hosts.runOnNew(['halt', 'web', '--json']));
    const moved = join(hosts.new.images, 'web.img');
    expect(await guestBootCount(moved)).toBe(boots + 1);
    expect(await damagedGuestFiles(moved, guest.image.files)).toEqual([]);
  });
});

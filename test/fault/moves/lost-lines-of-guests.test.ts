import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, resultOf, warningsOf } from '../../support/programs/command-records.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  receiversOf,
  type FerriedGuest,
  type Rule,
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
      expect(error.advice).toContain('vmferry migrate web --resume goes on');
      expect(guest.runsOn('old')).toBe(true);
      await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    } finally {
      await hosts.lab.mend();
    }
    await guest.expectUnmoved();
  });

  test('moves all the same when the line comes back while it is down; lost again at the commit, it leaves the way back open', async () => {
    const rules: Rule[] = [{ on: 'look', do: 'hang-up' }];
    const argv = await guest.migrateArguments({ rules, cold: true, retryFor: '5m' });
    const command = hosts.start([...argv, '--probe', 'exec:true']);
    await command.printed(copyHasBegun);
    await hosts.lab.cut();
    await command.printed(/"code":"line-lost"/);
    expect(guest.runsOn('old')).toBe(false);
    expect(guest.runsOn('new')).toBe(false);
    await hosts.lab.mend();
    const ended = await command.ended;
    expect(resultOf(ended)).toMatchObject({
      type: 'moved',
      probes: [{ outcome: 'passed' }],
      committed: false,
    });
    expect(ended.exitStatus).toBe(0);
    const [warning] = warningsOf(ended).filter(({ code }) => code === 'not-committed');
    expect(warning?.message).toMatch(/the way back stays open: .*vmferry commit web$/);
    await guest.expectMoved();
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
  });

  test('runs on here; its copy is kept close when the line is back, and it moves when somebody says so', async () => {
    const pid = guest.pid();
    const boots = await guestBootCount(guest.image.path);
    const early = await hosts.run(['cutover', 'web', '--json']);
    expect(errorOf(early)).toMatchObject({ code: 'guest-not-found' });
    const command = hosts.start([...(await guest.migrateArguments({ retryFor: '5m' })), '--hold']);
    await command.printed(copyHasBegun);
    await hosts.lab.reset();
    await command.printed(/"code":"line-lost"/);
    await command.printed(/its copy is kept close to it/);
    expect(guest.pid()).toBe(pid);
    const held = resultOf(await hosts.run(['migrations', '--json']));
    expect(held).toMatchObject({
      moves: [{ guest: 'web', state: 'held', commands: ['vmferry cutover web'] }],
    });
    const told = resultOf(await hosts.run(['cutover', 'web', '--json']));
    expect(told).toMatchObject({ type: 'cutover', guest: 'web', pid: command.child.pid });
    const ended = await command.ended;
    const moved = resultOf<{ passes: unknown[] }>(ended);
    expect(moved).toMatchObject({ type: 'moved' });
    // The first was broken off; after the second it was held, and the third came with the order. The last one followed the halt.
    expect(moved.passes.length).toBeGreaterThanOrEqual(3);
    expect(warningsOf(ended).filter(({ code }) => code === 'line-lost')).toHaveLength(1);
    await guest.expectMoved();
    resultOf(await hosts.runOnNew(['halt', 'web', '--json']));
    const image = join(hosts.new.images, 'web.img');
    expect(await guestBootCount(image)).toBe(boots + 1);
    expect(await damagedGuestFiles(image, guest.image.files)).toEqual([]);
  });
});

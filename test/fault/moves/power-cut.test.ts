import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  meddled,
  receiversOf,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { damagedGuestFiles } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';
import { runTool } from '../../support/images/images.ts';
import { errorOf, resultOf } from '../../support/programs/command-records.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { plugOf, powerCutMissing, type Plug } from '../../support/ssh/power-cut.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';

/** What was written and not synced is gone, unlike after `kill -9`. */
describeUnless(umlMissing() ?? networkLabMissing() ?? powerCutMissing(), 'a host whose power fails', () => {
  let hosts: TwoHosts;
  let plugs: Record<'old' | 'new', Plug>;
  let guest: FerriedGuest;
  let watch: DoubleRunWatch;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    plugs = { old: await plugOf(hosts, 'old'), new: await plugOf(hosts, 'new') };
    guest = await ferriedGuest(hosts, 'web');
    watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
  });
  afterEach(async () => {
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    expect(watch.seen).toEqual([]);
  });
  afterAll(async () => {
    watch[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  const copyThere = () => join(hosts.new.images, 'web.img');

  async function bringHome(): Promise<void> {
    resultOf(await hosts.run(['revert', 'web', '--json']));
    expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([true, false]);
    expect(await damagedGuestFiles(copyThere(), guest.image.files)).toEqual([]);
    await rm(copyThere());
    runTool('sync', ['-f', hosts.new.images]);
  }

  test('the old one, after the halt: the move is resumed', async () => {
    await hosts.lab.rate('4mbit');
    const command = hosts.start(await guest.migrateArguments({ cold: true }));
    await command.printed(copyHasBegun);
    command.child.kill('SIGKILL');
    await command.ended;
    await plugs.old.pull();
    await hosts.lab.rate(null);
    expect(await guest.state()).toBe('moving');
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    resultOf(await hosts.run(['migrate', 'web', '--resume', '--json']));
    await guest.expectMoved();
  });

  test('the new one, as soon as the move is done: the guest starts there from a whole image', async () => {
    await plugs.new.pull();
    expect(guest.runsOn('new')).toBe(false);
    resultOf(await hosts.runOnNew(['start', 'web', '--json']));
    await guest.expectMoved();
    await bringHome();
  });

  test('the new one, during the copy: the move goes on', async () => {
    await hosts.lab.rate('4mbit');
    const command = hosts.start(await guest.migrateArguments({ retryFor: '2m' }));
    await command.printed(copyHasBegun);
    await plugs.new.pull();
    await hosts.lab.rate(null);
    resultOf(await command.ended);
    await guest.expectMoved();
    await bringHome();
  });

  test('the old one, when the guest is up there: it is not started here as well', async () => {
    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'up', do: 'hold' }] }));
    await meddled(hosts, 'up');
    command.child.kill('SIGKILL');
    await command.ended;
    await plugs.old.pull();
    expect(guest.runsOn('new')).toBe(true);
    expect(await guest.state()).toBe('moved');
    const started = await hosts.run(['start', 'web', '--json']);
    expect(errorOf(started)).toMatchObject({ code: 'guest-fenced' });
    await bringHome();
  });
});

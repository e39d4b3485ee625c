import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, resultOf } from '../../support/programs/command-records.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  filesBesidePartial,
  meddled,
  receiversOf,
  stageStarted,
  type FerriedGuest,
  type Rule,
} from '../../support/guests/ferried-guest.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';

/** kill -9 at each step; killed-at-random.test.ts has the moments in between. All tests except the last ones leave the guest running on the old host. */
describeUnless(umlMissing() ?? networkLabMissing(), 'a mover that is killed', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let watch: DoubleRunWatch;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'web');
    watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
  });
  afterEach(() => {
    expect(watch.seen).toEqual([]);
  });
  afterAll(async () => {
    watch[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  const killWhen = async (when: RegExp, rules: Rule[] = [], cold = false): Promise<void> => {
    const command = hosts.start(await guest.migrateArguments({ rules, cold }));
    await command.printed(when);
    command.child.kill('SIGKILL');
    await command.ended;
  };
  /** The state of the move, as `migrations` lists it on the old host. */
  const expectMove = async (state: string): Promise<void> => {
    const listed = resultOf(await hosts.run(['migrations', '--json']));
    expect(listed).toMatchObject({ moves: [{ guest: 'web', state }] });
  };
  const expectCleanOnNew = async (): Promise<void> => {
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    expect(await filesBesidePartial(hosts, 'web')).toEqual([]);
    expect(guest.runsOn('new')).toBe(false);
  };

  test('in the preflight: nothing was changed', async () => {
    const pid = guest.pid();
    await killWhen(/"type":"stage-started","stage":"preflight"/);
    await expectCleanOnNew();
    expect(guest.pid()).toBe(pid);
  });

  test('in the halt: the guest goes down, and revert starts it again with its latest data', async () => {
    const goesDown = guest.listen('going down');
    const command = hosts.start(await guest.migrateArguments());
    await goesDown();
    command.child.kill('SIGKILL');
    expect(await guest.state()).toBe('moving');
    const started = await hosts.run(['start', 'web', '--json']);
    expect(errorOf(started)).toMatchObject({ code: expect.stringMatching(/guest-(fenced|already-running)/) });
    // The new host is not contacted: it was never told to boot the guest, and may be gone.
    await hosts.lab.cut();
    const reverted = await hosts.run(['revert', 'web', '--json']);
    await hosts.lab.mend();
    expect(resultOf(reverted)).toMatchObject({ type: 'reverted', wasRunningThere: null });
    await guest.expectUnmoved();
  });

  test('in the copy while the guest runs: it runs on, and nobody else may move it before', async () => {
    const pid = guest.pid();
    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'pass', do: 'hold' }] }));
    await command.printed(copyHasBegun);
    await meddled(hosts, 'pass');
    const again = await hosts.run(await guest.migrateArguments());
    expect(errorOf(again)).toMatchObject({ code: 'guest-fenced', exitStatus: 10 });
    command.child.kill('SIGKILL');
    await command.ended;
    expect(await guest.state()).toBe('running');
    await expectCleanOnNew();
    expect(guest.pid()).toBe(pid);
    const reverted = await hosts.run(['revert', 'web', '--json']);
    expect(errorOf(reverted)).toMatchObject({ code: 'guest-not-found' });
  });

  test('in the copy: the guest is down, the new host cleans up, and revert starts the guest', async () => {
    await hosts.lab.rate('4mbit');
    await killWhen(copyHasBegun, [], true);
    await hosts.lab.rate(null);
    expect(await guest.state()).toBe('moving');
    expect(guest.runsOn('old')).toBe(false);
    expect(await hosts.guests()).toMatchObject([{ name: 'web', state: 'moving' }]);
    await expectMove('broken-off');
    await expectCleanOnNew();
    expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ wasRunningThere: null });
    await guest.expectUnmoved();
  });

  test('after publish, before the boot: as in the copy', async () => {
    await killWhen(stageStarted('publish'), [{ on: 'published', do: 'hold' }]);
    expect(await guest.state()).toBe('moving');
    await expectCleanOnNew();
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await guest.expectUnmoved();
  });

  test('after the fence, before the boot: revert asks the new host first', async () => {
    await killWhen(stageStarted('boot'), [{ on: 'boot', do: 'hold' }]);
    expect(await guest.state()).toBe('moved');
    await expectCleanOnNew();
    await expectMove('unknown');
    const committed = await hosts.run(['commit', 'web', '--json']);
    expect(errorOf(committed)).toMatchObject({ code: 'guest-not-running', exitStatus: 10 });
    const again = await hosts.run(await guest.migrateArguments());
    expect(errorOf(again)).toMatchObject({ code: 'guest-fenced', exitStatus: 10 });
    expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ wasRunningThere: false });
    await guest.expectUnmoved();
  });

  test('during a move no other command may move the guest or revert it', async () => {
    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'finish', do: 'hold' }] }));
    await command.printed(stageStarted('verify'));
    for (const args of [
      ['revert', 'web', '--json'],
      ['start', 'web', '--json'],
      ['commit', 'web', '--json'],
      await guest.migrateArguments(),
    ]) {
      const error = errorOf(await hosts.run(args));
      expect(error).toMatchObject({ code: 'guest-fenced', exitStatus: 10 });
    }
    expect(guest.runsOn('old')).toBe(false);
    await expectMove('moving');
    // After a kill the guest can be moved again at once.
    command.child.kill('SIGKILL');
    await command.ended;
    expect(await guest.state()).toBe('moving');
    await expectCleanOnNew();
  });

  test('migrate begins again after a kill', async () => {
    const moved = resultOf(await hosts.run(await guest.migrateArguments()));
    expect(moved).toMatchObject({ type: 'moved', downtimeSeconds: null });
    await guest.expectMoved();
    await expectMove('moved');
  });

  test('a guest that was moved on to a third host is not reverted', async () => {
    const file = join(hosts.new.stateDir, 'guests', 'web.json');
    const record = readFileSync(file, 'utf8');
    const move = { destination: 'third', directory: '/srv', sshConfigFile: null, remoteCommand: 'vmferry' };
    await writeFile(file, JSON.stringify({ ...(JSON.parse(record) as object), state: 'moved', move }));
    const error = errorOf(await hosts.run(['revert', 'web', '--json']));
    expect(error).toMatchObject({ code: 'guest-fenced' });
    expect(error.message).toContain('third');
    expect(guest.runsOn('old')).toBe(false);
    await writeFile(file, record);
  });

  test('after the boot: the guest runs on there, and revert brings it back', async () => {
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
    await guest.expectUnmoved();

    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'up', do: 'hold' }] }));
    await meddled(hosts, 'up');
    command.child.kill('SIGKILL');
    await command.ended;
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    expect(await guest.state()).toBe('moved');
    await guest.expectMoved();
    expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ wasRunningThere: true });
    expect(guest.runsOn('old')).toBe(true);
    expect(guest.runsOn('new')).toBe(false);
    expect(await hosts.guests()).toMatchObject([{ name: 'web', state: 'running' }]);
    // Its new data stays there, and it is kept from being started there.
    expect(await hosts.filesOnNew()).toEqual(['web.img']);
    const started = await hosts.runOnNew(['start', 'web', '--json']);
    expect(errorOf(started)).toMatchObject({ code: 'guest-fenced' });
  });
});

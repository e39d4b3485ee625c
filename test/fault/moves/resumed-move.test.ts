import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { errorOf, recordsOf, resultOf } from '../../support/programs/command-records.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  meddled,
  receiversOf,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';

/** `migrate GUEST --resume`: after each kill, nothing but the guest's name is typed. */
describeUnless(umlMissing() ?? networkLabMissing(), 'a move that broke off', () => {
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

  const resume = ['migrate', 'web', '--resume', '--json'];
  const expectMove = async (state: string, command: string): Promise<void> => {
    const listed = resultOf(await hosts.run(['migrations', '--json']));
    expect(listed).toMatchObject({
      moves: [{ guest: 'web', state, commands: expect.arrayContaining([command]) }],
    });
  };
  const killInCopy = async (cold: boolean): Promise<void> => {
    await hosts.lab.rate('4mbit');
    const command = hosts.start(await guest.migrateArguments({ cold }));
    await command.printed(copyHasBegun);
    command.child.kill('SIGKILL');
    await command.ended;
    await hosts.lab.rate(null);
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
  };
  const takeBack = async (): Promise<void> => {
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
    await guest.expectUnmoved();
  };

  test('does not exist before the first move', async () => {
    expect(errorOf(await hosts.run(resume))).toMatchObject({ code: 'guest-not-found' });
  });

  test('by a kill in the copy while the guest runs is resumed, and ended moves are not', async () => {
    await killInCopy(false);
    expect(guest.runsOn('old')).toBe(true);
    await expectMove('copy-broken-off', 'vmferry migrate web --resume');
    const planned = await hosts.run([...resume, '--dry-run']);
    expect(resultOf(planned)).toMatchObject({ type: 'plan', guest: 'web' });
    const moved = await hosts.run(resume);
    expect(resultOf(moved)).toMatchObject({ type: 'moved', directory: hosts.new.images });
    expect(JSON.stringify(recordsOf(moved))).toContain('Going on with: vmferry migrate web --to ');
    await guest.expectMoved();

    const error = errorOf(await hosts.run(resume));
    expect(error).toMatchObject({
      code: 'guest-fenced',
      advice: expect.stringContaining('vmferry revert web'),
    });
    await takeBack();
  });

  test('by a kill in the copy of the halted guest is resumed', async () => {
    await killInCopy(true);
    expect(guest.runsOn('old')).toBe(false);
    await expectMove('broken-off', 'vmferry migrate web --resume');
    expect(resultOf(await hosts.run(resume))).toMatchObject({ type: 'moved', downtimeSeconds: null });
    await guest.expectMoved();
    await takeBack();
  });

  test('by a guest that was started again, or a line that stayed away, is resumed', async () => {
    await killInCopy(false);
    resultOf(await hosts.run(['halt', 'web', '--json']));
    resultOf(await hosts.run(['start', 'web', '--json']));
    await expectMove('copy-broken-off', 'vmferry migrate web --resume');
    // The noted options try no lost line again.
    await hosts.lab.rate('4mbit');
    const command = hosts.start(resume);
    await command.printed(copyHasBegun);
    await hosts.lab.reset();
    const error = errorOf(await command.ended);
    await hosts.lab.rate(null);
    expect(error.advice).toContain('vmferry migrate web --resume goes on from there');
    await expectMove('copy-broken-off', 'vmferry migrate web --resume');
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    resultOf(await hosts.run(resume));
    await guest.expectMoved();
    await takeBack();
  });

  /** The test does what systemd would do: units lie in a directory of the test, and `systemctl` notes what it is asked for. */
  test('by a reboot goes on as a service, which is removed when the guest has moved', async () => {
    using scratch = scratchDirectory();
    const [units, asked] = [join(scratch.path, 'units'), join(scratch.path, 'asked')];
    mkdirSync(units);
    const file = join(units, 'vmferry-move-web.service');
    const systemctl = (exitStatus: number) =>
      writeFileSync(
        join(scratch.path, 'systemctl'),
        `#!/bin/sh\necho "$@" >>'${asked}'\nexit ${exitStatus}\n`,
        { mode: 0o755 },
      );
    const mounted = `mount --bind '${units}' /etc/systemd/system && exec "$@"`;
    const startedBy = (...environment: string[]) => [
      'unshare',
      '--mount',
      'sh',
      '-c',
      mounted,
      'sh',
      'env',
      ...environment,
      `PATH=${scratch.path}:${process.env['PATH'] ?? ''}`,
    ];
    const held = [...(await guest.migrateArguments()), '--hold'];

    systemctl(1);
    const refused = await hosts.run([...held, '--service'], { startedBy: startedBy() });
    expect(errorOf(refused)).toMatchObject({ code: 'not-permitted' });
    expect(existsSync(file)).toBe(false);
    expect(errorOf(await hosts.run(resume))).toMatchObject({ code: 'guest-not-found' });

    systemctl(0);
    rmSync(asked);
    const begun = await hosts.run([...held, '--service'], { startedBy: startedBy() });
    expect(resultOf(begun)).toMatchObject({ type: 'move-service', guest: 'web', isSystem: true });
    expect(readFileSync(asked, 'utf8')).toBe('daemon-reload\nenable --now vmferry-move-web.service\n');
    await expectMove('copy-broken-off', 'vmferry migrate web --resume');
    const unit = readFileSync(join(units, 'vmferry-move-web.service'), 'utf8');
    expect(unit).toMatch(/^ExecStart=\S+ \S+\/bin\/vmferry\.js migrate web --resume$/m);
    expect(unit).toContain(`Environment=VMFERRY_STATE_DIR=${hosts.old.stateDir}\n`);
    const startService = () =>
      hosts.start(resume, { startedBy: startedBy('VMFERRY_MOVE_UNIT=vmferry-move-web.service') });
    const beforeReboot = startService();
    await beforeReboot.printed(/its copy is kept close to it/);
    beforeReboot.child.kill('SIGKILL');
    await beforeReboot.ended;
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);

    // Its guest is not up yet.
    resultOf(await hosts.run(['halt', 'web', '--json']));
    expect(errorOf(await startService().ended)).toMatchObject({ code: 'guest-not-running' });
    expect(existsSync(file)).toBe(true);
    resultOf(await hosts.run(['start', 'web', '--json']));
    // It takes nothing from the move.
    resultOf(await hosts.run(['rehearse', 'web', ...hosts.targetArguments(), '--pause', '--json']));
    await expectMove('copy-broken-off', 'vmferry migrate web --resume');
    const afterReboot = startService();
    await afterReboot.printed(/its copy is kept close to it/);
    resultOf(await hosts.run(['cutover', 'web', '--json']));
    expect(resultOf(await afterReboot.ended)).toMatchObject({ type: 'moved' });
    expect(existsSync(file)).toBe(false);
    await guest.expectMoved();
    await takeBack();
  });

  test('while another process moves the guest, there is nothing to resume', async () => {
    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'pass', do: 'hold' }] }));
    await command.printed(copyHasBegun);
    await meddled(hosts, 'pass');
    expect(errorOf(await hosts.run(resume))).toMatchObject({ code: 'guest-fenced', exitStatus: 10 });
    command.child.kill('SIGKILL');
    await command.ended;
  });
});

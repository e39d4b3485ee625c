import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, resultOf } from '../../support/programs/command-records.ts';
import {
  copyHasBegun,
  ferriedGuest,
  stageStarted,
  type FerriedGuest,
  type Rule,
} from '../../support/guests/ferried-guest.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';

describeUnless(umlMissing() ?? networkLabMissing(), 'an interrupted move', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let watch: DoubleRunWatch;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'web');
    watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
  });
  afterEach(async () => {
    await hosts.lab.rate(null);
    expect(guest.runsOn('new')).toBe(false);
    expect(await hosts.guests()).toMatchObject([{ name: 'web', state: 'running' }]);
    expect(await hosts.filesOnNew()).toEqual([]);
    expect(watch.seen).toEqual([]);
  });
  afterAll(async () => {
    watch[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  test.each<[stage: string, signal: NodeJS.Signals, when: RegExp, rules: Rule[]]>([
    ['preflight', 'SIGINT', stageStarted('preflight'), []],
    ['halt', 'SIGINT', stageStarted('halt'), []],
    ['copy', 'SIGTERM', copyHasBegun, []],
    ['verify', 'SIGINT', stageStarted('verify'), [{ on: 'finish', do: 'hold' }]],
    ['publish', 'SIGHUP', stageStarted('publish'), [{ on: 'published', do: 'hold' }]],
  ])('during %s, by %s', async (stage, signal, when, rules) => {
    // The guest has 6 MiB that do not compress, so the copy takes some seconds.
    if (stage === 'copy') await hosts.lab.rate('16mbit');
    const command = hosts.start(await guest.migrateArguments({ rules }));
    await command.printed(when);
    if (stage === 'copy') {
      command.signal('SIGTSTP');
      await command.printed(/Ctrl-Z has no effect now/);
    }
    command.signal(signal);
    // a second signal does not hurry it
    command.signal(signal);
    const ended = await command.ended;
    expect(errorOf(ended)).toMatchObject({ code: 'interrupted', exitStatus: 130 });
    expect(ended.exitStatus).toBe(130);
    if (stage === 'preflight') return;
    expect(errorOf(ended).message).toMatch(/web (?:runs here again|still runs here)\. Nothing was left on /);
    expect(ended.stdout).toContain('The move is being undone');
  });

  test('during halt, while the guest is already going down', async () => {
    const goesDown = guest.listen('going down');
    const command = hosts.start(await guest.migrateArguments());
    await goesDown();
    const pid = guest.pid();
    command.signal('SIGINT');
    expect((await command.ended).exitStatus).toBe(130);
    // a new process, not the one that was going down
    expect(guest.pid()).not.toBe(pid);
  });

  test('during the boot: too late, the move is finished', async () => {
    const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'boot', do: 'delay' }] }));
    await command.printed(stageStarted('boot'));
    command.signal('SIGINT');
    const ended = await command.ended;
    expect(resultOf(ended)).toMatchObject({ type: 'moved' });
    expect(ended.stdout).toContain('It is too late to stop');
    expect(ended.stdout).not.toContain('undone');
    expect(ended.exitStatus).toBe(0);
    await guest.expectMoved();
    resultOf(await hosts.run(['revert', 'web', '--json']));
    await rm(join(hosts.new.images, 'web.img'));
  });
});

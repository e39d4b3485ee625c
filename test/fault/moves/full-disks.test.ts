import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/system/processes.ts';
import {
  copyHasBegun,
  ferriedGuest,
  stageStarted,
  type FerriedGuest,
  type Rule,
} from '../../support/guests/ferried-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';
import { runTool } from '../../support/images/images.ts';
import { errorOf, resultOf, warningsOf } from '../../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';

const MIB = 2 ** 20;

/** A disk that becomes full in each stage of a move: that of the images there, and that of the records there and here. */
describeUnless(
  umlMissing() ?? networkLabMissing() ?? toolsMissing('nsenter'),
  'a move with a full disk',
  () => {
    let hosts: TwoHosts;
    let guest: FerriedGuest;
    let watch: DoubleRunWatch | undefined;
    beforeAll(async () => {
      hosts = await startTwoHosts();
      runTool('mount', ['-t', 'tmpfs', '-o', `size=${MIB}`, 'none', hosts.old.stateDir]);
      guest = await ferriedGuest(hosts, 'web');
      watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
      await hosts.lab.rate('32mbit');
    });
    afterEach(async () => {
      expect(watch?.seen).toEqual([]);
      expect(guest.runsOn('old')).toBe(true);
      await guest.expectUnmoved();
    });
    afterAll(async () => {
      watch?.[Symbol.dispose]();
      await run('umount', ['--lazy', hosts.old.stateDir]);
      await hosts[Symbol.asyncDispose]();
    });

    const fillHere = (): Disposable => {
      const path = join(hosts.old.stateDir, '.filling');
      try {
        writeFileSync(path, Buffer.alloc(2 * MIB));
      } catch {
        // It is full.
      }
      return { [Symbol.dispose]: () => rmSync(path) };
    };

    test.each([
      ['while the guest runs', false],
      ['after the halt', true],
    ])('of images there, in the copy %s', async (_, cold) => {
      const pid = guest.pid();
      await using small = await hosts.mountOnNew(64 * MIB);
      const command = hosts.start(await guest.migrateArguments({ directory: small.path, cold }));
      await command.printed(copyHasBegun);
      await small.fill();
      expect(errorOf(await command.ended)).toMatchObject({ code: 'target-full', exitStatus: 14 });
      expect(await small.files()).toEqual([]);
      if (!cold) expect(guest.pid()).toBe(pid);
    });

    test('of records here, before the move: the preflight says so', async () => {
      const pid = guest.pid();
      const filling = fillHere();
      const ended = await hosts.run([...(await guest.migrateArguments()), '--dry-run']);
      filling[Symbol.dispose]();
      expect(errorOf(ended)).toMatchObject({ code: 'target-full', exitStatus: 14 });
      expect(guest.pid()).toBe(pid);
    });

    test('of records here, in the copy: the guest is not halted', async () => {
      const pid = guest.pid();
      const command = hosts.start(await guest.migrateArguments());
      await command.printed(stageStarted('copy'));
      const filling = fillHere();
      const ended = await command.ended;
      filling[Symbol.dispose]();
      expect(errorOf(ended)).toMatchObject({ code: 'target-full', exitStatus: 14 });
      expect(guest.pid()).toBe(pid);
    });

    test('of records here, after the halt: the guest is started here again, and revert notes that later', async () => {
      const rules: Rule[] = [{ on: 'published', do: 'delay' }];
      const command = hosts.start(await guest.migrateArguments({ rules }));
      await command.printed(stageStarted('publish'));
      const filling = fillHere();
      const ended = await command.ended;
      expect(errorOf(ended)).toMatchObject({ code: 'target-full', exitStatus: 14 });
      expect(warningsOf(ended).map(({ code }) => code)).toContain('not-remembered');
      expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([true, false]);
      filling[Symbol.dispose]();
      resultOf(await hosts.run(['revert', 'web', '--json']));
    });

    test('of records here, in the boot: the move is complete, and can be taken back', async () => {
      const rules: Rule[] = [{ on: 'up', do: 'delay' }];
      const command = hosts.start(await guest.migrateArguments({ rules }));
      await command.printed(stageStarted('boot'));
      const filling = fillHere();
      const ended = await command.ended;
      resultOf(ended);
      expect(warningsOf(ended).map(({ code }) => code)).toContain('not-remembered');
      await guest.expectMoved();
      filling[Symbol.dispose]();
      resultOf(await hosts.run(['revert', 'web', '--json']));
      await rm(join(hosts.new.images, 'web.img'));
    });

    test.each([
      ['before the move: the guest is not halted', 'preflight', 'target-full'],
      ['after the halt: the guest is started here again', 'publish', 'boot-failed'],
    ])('of records there, %s', async (_, stage, code) => {
      const pid = guest.pid();
      await using small = await hosts.mountOnNew(MIB);
      await hosts.runInNew('mount', '--bind', small.path, hosts.new.stateDir);
      const rules: Rule[] = [{ on: 'published', do: 'delay' }];
      if (stage === 'preflight') await small.fill();
      const command = hosts.start(await guest.migrateArguments({ rules }));
      await command.printed(stageStarted(stage));
      await small.fill();
      const ended = await command.ended;
      await hosts.runInNew('umount', '--lazy', hosts.new.stateDir);
      expect(errorOf(ended)).toMatchObject({ code });
      if (stage === 'preflight') expect(guest.pid()).toBe(pid);
    });
  },
);

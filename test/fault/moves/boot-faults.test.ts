import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, resultOf } from '../../support/programs/command-records.ts';
import {
  eventually,
  ferriedGuest,
  receiversOf,
  stageStarted,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../../support/ssh/two-hosts.ts';
import { bootUmlGuest, buildGuestImage } from '../../support/guests/uml-guest.ts';
import { umlKernel, umlMissing } from '../../support/guests/uml-kernel.ts';
import {
  umlProcessesOf,
  watchForDoubleRun,
  type DoubleRunWatch,
} from '../../support/guests/uml-processes.ts';

/** One guest, which runs on the old host before and after each test. */
describeUnless(
  umlMissing() ?? networkLabMissing() ?? toolsMissing('nsenter'),
  'a boot that goes wrong',
  () => {
    let hosts: TwoHosts;
    let guest: FerriedGuest;
    let watch: DoubleRunWatch;
    beforeAll(async () => {
      hosts = await startTwoHosts();
      guest = await ferriedGuest(hosts, 'web');
    });
    beforeEach(() => {
      watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
    });
    afterEach(async () => {
      watch[Symbol.dispose]();
      expect(guest.runsOn('old')).toBe(true);
      expect(await guest.state()).toBe('running');
      await rm(join(hosts.new.images, 'web.img'), { force: true });
    });
    afterAll(async () => {
      await hosts[Symbol.asyncDispose]();
    });

    test('the kernel there ends at once', async () => {
      const broken = join(hosts.new.home, 'broken-kernel');
      writeFileSync(broken, '#!/bin/sh\necho "no such luck"\nexit 3\n', { mode: 0o755 });
      const command = hosts.start(await guest.migrateArguments());
      await command.printed(stageStarted('halt'));
      await hosts.runInNew('mount', '--bind', broken, umlKernel());
      const error = errorOf(await command.ended);
      await hosts.runInNew('umount', umlKernel());
      expect(error).toMatchObject({ code: 'boot-failed', exitStatus: 16 });
      expect(error.message).toContain('status 3');
      expect(error.message).toContain('no such luck');
      await guest.expectUnmoved();
      expect(watch.seen).toEqual([]);
    });

    test('another guest there has the same name, and is left alone', async () => {
      const path = join(hosts.new.home, 'other.img');
      await buildGuestImage({ path });
      const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'publish', do: 'delay' }] }));
      await command.printed(stageStarted('halt'));
      const other = await bootUmlGuest({
        image: path,
        name: 'web',
        umlDir: hosts.new.umlDir,
        startedBy: hosts.lab.prefix('new'),
      });
      const error = errorOf(await command.ended);
      expect(error).toMatchObject({ code: 'boot-failed', exitStatus: 16 });
      expect(error.message).toContain('web');
      expect(await hosts.filesOnNew()).toEqual([]);
      expect(umlProcessesOf('web', hosts.new.umlDir)).toContain(other.pid);
      await other.stop();
      await eventually('it is gone', 10_000, () => !guest.runsOn('new'));
      await guest.expectUnmoved();
    });

    test('the receiver dies when the guest is up: the outcome is unknown, and nothing is started here', async () => {
      const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'up', do: 'hang-up' }] }));
      const error = errorOf(await command.ended);
      expect(error).toMatchObject({ code: 'outcome-unknown', exitStatus: 17 });
      expect(error.advice).toContain('vmferry revert web');
      await guest.expectMoved();
      expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ wasRunningThere: true });
      expect(guest.runsOn('new')).toBe(false);
      expect(watch.seen).toEqual([]);
    });

    test('the line is cut during the boot', async () => {
      const command = hosts.start(await guest.migrateArguments());
      await command.printed(stageStarted('boot'));
      await hosts.lab.cut();
      try {
        const error = errorOf(await command.ended);
        expect(error).toMatchObject({ code: 'outcome-unknown', exitStatus: 17 });
        expect(guest.runsOn('old')).toBe(false);
        expect(await guest.state()).toBe('moved');
        // The new host is not reachable, so revert does not start the guest either.
        expect(errorOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({
          code: 'host-unreachable',
        });
        expect(guest.runsOn('old')).toBe(false);
        await eventually(
          'the receiver has ended',
          60_000,
          async () => (await receiversOf(hosts)).length === 0,
        );
        // Either it was up before the receiver missed the mover, or it was taken back.
        expect(await hosts.filesOnNew()).toEqual(guest.runsOn('new') ? ['web.img'] : []);
      } finally {
        await hosts.lab.mend();
      }
      const wasUp = guest.runsOn('new');
      const reverted = await hosts.run(['revert', 'web', '--json']);
      expect(resultOf(reverted)).toMatchObject({ wasRunningThere: wasUp });
      expect(guest.runsOn('new')).toBe(false);
      expect(watch.seen).toEqual([]);
    });

    test('the guest cannot be started here either: vmferry says so, and start works later', async () => {
      const command = hosts.start(await guest.migrateArguments({ rules: [{ on: 'finish', do: 'hold' }] }));
      await command.printed(stageStarted('verify'));
      const { path } = guest.image;
      renameSync(path, `${path}.away`);
      command.child.kill('SIGINT');
      const error = errorOf(await command.ended);
      renameSync(`${path}.away`, path);
      expect(error).toMatchObject({ code: 'guest-left-down', exitStatus: 18 });
      expect(error.message).toContain(path);
      expect(guest.runsOn('old')).toBe(false);
      expect(await hosts.filesOnNew()).toEqual([]);
      expect(existsSync(path)).toBe(true);
      resultOf(await hosts.run(['start', 'web', '--json']));
      expect(watch.seen).toEqual([]);
    });
  },
);

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { damagedGuestFiles } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { resultOf, warningsOf } from '../../support/programs/command-records.ts';
import { startJumpingClock, type JumpingClock } from '../../support/programs/jumping-clock.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { startTwoHosts, type RunningCommand, type TwoHosts } from '../../support/ssh/two-hosts.ts';

const DAY_SECONDS = 24 * 3600;

/** As when a machine gets the right time only after its boot, or a person sets it. */
describeUnless(
  umlMissing() ?? networkLabMissing() ?? toolsMissing('faketime'),
  'a move whose clock jumps',
  () => {
    let hosts: TwoHosts;
    let guest: FerriedGuest;
    let clocks: Record<'old' | 'new', JumpingClock>;
    beforeAll(async () => {
      hosts = await startTwoHosts();
      // Its init takes 3 s to halt it.
      guest = await ferriedGuest(hosts, 'web', { onCtrlAltDel: 'poweroff' });
      clocks = { old: startJumpingClock(), new: startJumpingClock() };
      await hosts.lab.rate('32mbit');
    });
    /** How far the time in the guest's record is from the true one: the clock has jumped. */
    async function daysAwayOnOld(): Promise<number> {
      const record = await readFile(join(hosts.old.stateDir, 'guests', 'web.json'), 'utf8');
      const { changedAt } = JSON.parse(record) as { changedAt: string };
      return Math.round(Math.abs(Date.now() - Date.parse(changedAt)) / DAY_SECONDS / 1000);
    }
    afterEach(async () => {
      clocks.old.setOffset(0);
      clocks.new.setOffset(0);
      await guest.expectMoved();
      expect(await daysAwayOnOld()).toBeGreaterThanOrEqual(1);
      resultOf(await hosts.run(['revert', 'web', '--json']));
      expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([true, false]);
      expect(await damagedGuestFiles(join(hosts.new.images, 'web.img'), guest.image.files)).toEqual([]);
      await rm(join(hosts.new.images, 'web.img'));
    });
    afterAll(async () => {
      await hosts[Symbol.asyncDispose]();
      for (const clock of Object.values(clocks)) clock[Symbol.dispose]();
    });

    async function startMove(more: { cold?: boolean; retryFor?: string } = {}): Promise<RunningCommand> {
      const remoteCommand = await hosts.remoteScript([
        `exec env ${clocks.new.variables.join(' ')} '${hosts.remoteCommand}' "$@"`,
      ]);
      const args = await guest.migrateArguments({ ...more, remoteCommand });
      return hosts.start(args, { startedBy: ['env', ...clocks.old.variables] });
    }

    test.each([
      ['forwards here, backwards there', 1],
      ['backwards here, forwards there', -1],
    ])('in the copy, in the halt and in the boot, %s', async (_, sign) => {
      const goesDown = guest.listen('going down');
      const command = await startMove();
      const consoleThere = join(hosts.new.stateDir, 'console', 'web.log');
      await rm(consoleThere, { force: true });
      const boots = () =>
        eventually(
          'it boots there',
          60_000,
          () => existsSync(consoleThere) && statSync(consoleThere).size > 0,
        );
      const moments = [() => command.printed(copyHasBegun), goesDown, boots];
      for (const [index, moment] of moments.entries()) {
        await moment();
        clocks.old.setOffset(sign * (index + 1) * DAY_SECONDS);
        clocks.new.setOffset(-sign * (index + 1) * DAY_SECONDS);
      }
      const ended = await command.ended;
      const { downtimeSeconds } = resultOf<{ downtimeSeconds: number }>(ended);
      expect(downtimeSeconds).toBeGreaterThan(0);
      expect(downtimeSeconds).toBeLessThan(120);
      expect(warningsOf(ended)).toEqual([]);
      // It was given its time to halt: nobody told its kernel to end its programs.
      for (const log of [guest.consoleLog, join(hosts.old.stateDir, 'console', 'web.log')])
        if (existsSync(log)) expect(readFileSync(log, 'latin1')).not.toMatch(/sysrq/i);
    });

    test('while the line is lost: the time to try again is neither over nor without an end', async () => {
      const command = await startMove({ cold: true, retryFor: '1h' });
      await command.printed(copyHasBegun);
      await hosts.lab.cut();
      await hosts.lab.reset();
      await command.printed(/Trying again in/);
      clocks.old.setOffset(2 * DAY_SECONDS);
      await hosts.lab.mend();
      resultOf(await command.ended);
    });
  },
);

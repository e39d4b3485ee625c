import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../../src/system/processes.ts';
import { countingProgram } from '../../support/guests/counting-program.ts';
import {
  eventually,
  ferriedGuest,
  filesBesidePartial,
  receiversOf,
  type FerriedGuest,
} from '../../support/guests/ferried-guest.ts';
import { damagedGuestFiles, readGuestFile } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';
import { watchForDoubleRun, type DoubleRunWatch } from '../../support/guests/uml-processes.ts';
import { recordsOf, resultOf } from '../../support/programs/command-records.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { startTwoHosts, type RunningCommand, type TwoHosts } from '../../support/ssh/two-hosts.ts';

const ROUNDS = Number(process.env['VMFERRY_KILLS'] ?? 5);
const ROUND_MS = 120_000;
const LONGEST_MOVE_MS = 9_000;
const seed = testSeed();
const accidents = ['mover killed', 'receiver killed', 'both killed', 'line reset'] as const;

/** By `migrate --resume`, or by the whole command again. */
type GoingOn = 'resumed' | 'begun again';

/** At random moments: whatever happens, the guest runs on one host at most, and the next command brings it to where it should be. */
describeUnless(
  umlMissing() ?? networkLabMissing(),
  `a move with an accident (VMFERRY_TEST_SEED=${seed})`,
  () => {
    const random = seededRandom(seed);
    let hosts: TwoHosts;
    let guest: FerriedGuest;
    let watch: DoubleRunWatch;
    beforeAll(async () => {
      hosts = await startTwoHosts();
      guest = await ferriedGuest(hosts, 'web', { programs: [countingProgram] });
      watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
      await hosts.lab.rate('64mbit');
    });
    afterAll(async () => {
      watch[Symbol.dispose]();
      await hosts[Symbol.asyncDispose]();
    });

    const killReceivers = async (): Promise<void> => {
      for (const pid of await receiversOf(hosts)) process.kill(pid, 'SIGKILL');
    };

    async function happens(accident: (typeof accidents)[number], command: RunningCommand): Promise<void> {
      if (accident === 'mover killed' || accident === 'both killed') command.child.kill('SIGKILL');
      if (accident === 'receiver killed' || accident === 'both killed') await killReceivers();
      if (accident === 'line reset') await hosts.lab.reset();
    }

    async function stateOnOld(): Promise<string> {
      const isKnown = existsSync(join(hosts.old.stateDir, 'guests', 'web.json'));
      return isKnown ? guest.state() : 'running';
    }

    async function goOn(how: GoingOn): Promise<void> {
      if (how === 'resumed') {
        const resumed = await hosts.run(['migrate', 'web', '--resume', '--json']);
        if (recordsOf(resumed).at(-1)?.['code'] !== 'guest-not-found') {
          resultOf(resumed);
          return;
        }
        // The accident was before the first record, or the move was undone.
        expect(await stateOnOld()).toBe('running');
      }
      resultOf(await hosts.run(await guest.migrateArguments({ retryFor: '2m' })));
    }

    /** A move that is not interrupted any more, or a revert: then the guest runs here, as at the beginning. */
    async function bringHome(goesOn: GoingOn | null, wasReceiverKilled: boolean): Promise<void> {
      const state = await stateOnOld();
      if (state === 'moved') expect(guest.runsOn('old')).toBe(false);
      else expect(guest.runsOn('new')).toBe(false);
      if (goesOn !== null && state !== 'moved') {
        // A receiver that was killed between the publishing and the boot leaves a whole image.
        if (wasReceiverKilled) await removeImageThere();
        await goOn(goesOn);
        await guest.expectMoved();
      }
      if ((await stateOnOld()) !== 'running') resultOf(await hosts.run(['revert', 'web', '--json']));
      // A revert leaves what the guest wrote there.
      await removeImageThere();
      expect(await stateOnOld()).toBe('running');
      expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([true, false]);
      // What a receiver that was killed has left is removed after its death.
      await eventually(
        'nothing but an incomplete image is there',
        10_000,
        async () => (await filesBesidePartial(hosts, 'web')).length === 0,
      );
    }

    const removeImageThere = (): Promise<void> => rm(join(hosts.new.images, 'web.img'), { force: true });

    test.each(Array.from({ length: ROUNDS }, (_, index) => index + 1))(
      'round %i',
      async () => {
        const accident = accidents[Math.floor(random() * accidents.length)] ?? 'mover killed';
        const cold = random() < 0.3;
        const goesOn = random() < 0.6 ? (random() < 0.5 ? 'resumed' : 'begun again') : null;
        const afterMs = Math.round(random() * LONGEST_MOVE_MS);
        const command = hosts.start(await guest.migrateArguments({ retryFor: '2m', cold }));
        try {
          await delay(afterMs);
          await happens(accident, command);
          const ended = await command.ended;
          await eventually(
            'no receiver is left',
            60_000,
            async () => (await receiversOf(hosts)).length === 0,
          );
          const last = recordsOf(ended).at(-1);
          if (last?.['type'] === 'moved') await guest.expectMoved();
          else if (guest.runsOn('new')) expect(await stateOnOld()).toBe('moved');
          await bringHome(goesOn, accident === 'receiver killed' || accident === 'both killed');
          expect(watch.seen).toEqual([]);
        } catch (error) {
          const what = `${accident} after ${afterMs} ms${cold ? ', --cold' : ''}${goesOn === null ? ', then reverted' : `, then ${goesOn}`}`;
          throw new Error(what, { cause: error });
        }
      },
      ROUND_MS,
    );

    test('leaves the guest whole', async () => {
      resultOf(await hosts.run(['halt', 'web', '--json']));
      const { path, files } = guest.image;
      expect(await damagedGuestFiles(path, files)).toEqual([]);
      expect((await run('e2fsck', ['-fn', path])).exitStatus).toBe(0);
      expect(Number((await readGuestFile(path, '/count')).toString())).toBeGreaterThan(0);
    });
  },
);

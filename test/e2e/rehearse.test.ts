import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { errorOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import {
  eventually,
  ferriedGuest,
  receiversOf,
  stageStarted,
  type FerriedGuest,
} from '../support/guests/ferried-guest.ts';
import type { GuestProgram } from '../support/guests/guest-programs.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
} from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../support/guests/uml-processes.ts';
import { mountingMissing, mountNew } from '../support/images/reflink-file-system.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const DATA_BYTES = 8 * 2 ** 20;

interface Report {
  type: string;
  bootSeconds: number;
  predictedDowntimeSeconds: number;
  giveUp: string;
  disks: { sentBytes: number; partial: string }[];
  passes: { changedBytes: number }[];
}

/** The guest's processes on the new host, under any name. */
function runningThere(hosts: TwoHosts): number[] {
  return umlProcessesOf(null, hosts.new.umlDir);
}

const missing = umlMissing() ?? networkLabMissing();

describeUnless(missing ?? mountingMissing('xfs'), 'a rehearsal between file systems with reflinks', () => {
  let xfs: ReturnType<typeof mountNew>;
  let hosts: TwoHosts;
  beforeAll(async () => {
    xfs = mountNew('xfs');
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
    xfs[Symbol.dispose]();
  });

  test('boots a copy there while the guest runs on here, also if a receiver is killed, and leaves the move little to send', async () => {
    const path = join(xfs.path, 'web.img');
    const there = join(xfs.path, 'there');
    mkdirSync(there);
    const image = await buildGuestImage({ path, dataBytes: DATA_BYTES, onCtrlAltDel: 'quick-poweroff' });
    const startedBy = hosts.lab.prefix('old');
    const { stop, pid } = await bootUmlGuest({
      image: path,
      name: 'web',
      umlDir: hosts.old.umlDir,
      startedBy,
    });
    hosts.defer(stop);
    const target = hosts.targetArguments({ directory: there });

    const command = hosts.start(['rehearse', 'web', ...target, '--json']);
    // The first receiver is killed, and leaves the guest that it boots.
    await eventually('the copy boots', 120_000, () => runningThere(hosts).length > 0);
    for (const receiver of await receiversOf(hosts)) process.kill(receiver, 'SIGKILL');
    const ended = await command.ended;
    const rehearsed = resultOf<Report>(ended);
    expect(rehearsed).toMatchObject({ type: 'rehearsed', guest: 'web', as: 'uml' });
    expect(warningsOf(ended)).toMatchObject([{ code: 'line-lost' }]);
    expect(rehearsed.bootSeconds).toBeGreaterThan(0);
    expect(rehearsed.predictedDowntimeSeconds).toBeGreaterThan(rehearsed.bootSeconds);
    expect(rehearsed.disks).toMatchObject([{ source: path, partial: join(there, 'web.img.partial') }]);
    expect(rehearsed.disks[0]?.sentBytes).toBeGreaterThan(DATA_BYTES);
    expect(await hosts.guests()).toMatchObject([{ name: 'web', state: 'running', pid }]);
    // No clone of it is left on either side, no guest, and no receiver.
    expect(readdirSync(there).toSorted()).toEqual(['web.img.partial', 'web.img.partial.vmferry']);
    expect(readdirSync(xfs.path).toSorted()).toEqual(['there', 'web.img']);
    expect(runningThere(hosts)).toEqual([]);
    expect(await receiversOf(hosts)).toEqual([]);

    const moved = resultOf<Report>(await hosts.run(['migrate', 'web', ...target, '--json']));
    expect(moved.type).toBe('moved');
    expect(moved.disks[0]?.sentBytes).toBeLessThan(DATA_BYTES / 10);
    expect(resultOf(await hosts.runOnNew(['halt', 'web', '--json']))).toMatchObject({ type: 'halted' });
    // The boot of the rehearsal was never written to it.
    expect(await guestBootCount(join(there, 'web.img'))).toBe(2);
    expect(await damagedGuestFiles(join(there, 'web.img'), image.files)).toEqual([]);
  });
});

/** The guest boots once. After that its init ends. */
const bootsOnce: GuestProgram = {
  install: () => Promise.resolve(),
  startLines: ['[ $boots = 1 ] || { echo NO SECOND BOOT; busybox poweroff -f; }'],
};

describeUnless(missing, 'a rehearsal of a guest that does not boot again, without reflinks', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let pid: number | null;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'mail', { programs: [bootsOnce] });
    pid = guest.pid();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const rehearse = (...more: string[]): string[] => [
    'rehearse',
    'mail',
    ...hosts.targetArguments(),
    '--json',
    ...more,
  ];
  const expectUntouched = async () => {
    expect(guest.pid()).toBe(pid);
    expect(runningThere(hosts)).toEqual([]);
    await guest.expectUnmoved();
  };

  test('is refused without --pause, and nothing is copied', async () => {
    const error = errorOf(await hosts.run(rehearse()));
    expect(error).toMatchObject({ code: 'guest-unsupported', exitStatus: 10 });
    expect(error.advice).toContain('--pause');
    expect(await hosts.filesOnNew()).toEqual([]);
    expect(guest.pid()).toBe(pid);
  });

  test('says why, and keeps what was copied', async () => {
    const error = errorOf(await hosts.run(rehearse('--pause')));
    expect(error).toMatchObject({ code: 'boot-failed', exitStatus: 16 });
    expect(error.message).toContain('NO SECOND BOOT');
    expect(error.advice).toContain(`rm -f ${join(hosts.new.images, 'mail.img.partial')}`);
    expect(await hosts.filesOnNew()).toEqual(['mail.img.partial', 'mail.img.partial.vmferry']);
    await expectUntouched();
  });

  test('removes everything when it is interrupted', async () => {
    const command = hosts.start(rehearse('--pause'));
    await command.printed(stageStarted('boot'));
    command.signal('SIGINT');
    const error = errorOf(await command.ended);
    expect(error).toMatchObject({ code: 'interrupted', exitStatus: 130 });
    expect(error.message).toContain('mail still runs here. Nothing was left on');
    expect(await hosts.filesOnNew()).toEqual([]);
    await expectUntouched();
  });
});

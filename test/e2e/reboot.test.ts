import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, ferriedGuest, receiversOf, type FerriedGuest } from '../support/guests/ferried-guest.ts';
import { isFileSystemClean } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf, watchForDoubleRun } from '../support/guests/uml-processes.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { recordsOf, resultOf } from '../support/programs/command-records.ts';
import {
  bootSystemdMachine,
  systemdMachineMissing,
  unitDirectoryOf,
  type SystemdMachine,
} from '../support/programs/systemd-machine.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

/** When the unit changed its state, in microseconds since this machine was started. */
async function timeOf(machine: SystemdMachine, unit: string, change: string): Promise<number> {
  const shown = await machine.systemctl('show', '-P', `${change}TimestampMonotonic`, unit);
  expect(shown).toMatch(/^[1-9]\d*$/);
  return Number(shown);
}

/** The old host is booted by a real systemd. */
describeUnless(umlMissing() ?? networkLabMissing() ?? systemdMachineMissing(), 'a reboot', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    await ferriedGuest(hosts, 'db');
    guest = await ferriedGuest(hosts, 'web');
    // Their processes are outside the machine, where systemd would not find them.
    resultOf(await hosts.run(['halt', 'db', 'web', '--json']));
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  test('keeps a move as a service going; guests are halted and started in order', async () => {
    using scratch = scratchDirectory();
    using watch = watchForDoubleRun(['web'], [hosts.old.umlDir, hosts.new.umlDir]);
    const units = unitDirectoryOf(scratch.path);
    const expectMoved = async () => {
      expect([guest.runsOn('old'), guest.runsOn('new')]).toEqual([false, true]);
      expect(await guest.state()).toBe('moved');
      expect(await hosts.filesOnNew()).toEqual(['web.img']);
    };
    const boot = () => bootSystemdMachine(units, hosts.lab.prefix('old'));
    const vmferryOn =
      ({ prefix: startedBy }: SystemdMachine) =>
      async (...args: string[]) => {
        const ended = await hosts.run([...args, '--json'], { startedBy });
        return { result: resultOf(ended), records: recordsOf(ended) };
      };
    const isHeld = (vmferry: ReturnType<typeof vmferryOn>) => async () => {
      const { moves } = (await vmferry('migrations')).result as { moves: { state: string }[] };
      return moves.some(({ state }) => state === 'held');
    };
    const [dbUnit, guestUnit] = ['vmferry-guest-db.service', 'vmferry-guest-web.service'];
    const moveUnit = 'vmferry-move-web.service';

    {
      await using machine = await boot();
      const vmferry = vmferryOn(machine);
      await vmferry('start', 'db', 'web');
      await vmferry('autostart', 'db', 'web');
      // systemd remembers the times of units that something active wants.
      const wanting = `[Unit]\nDefaultDependencies=no\nWants=${dbUnit} ${guestUnit}\n`;
      writeFileSync(join(units, 'wanting.target'), wanting);
      await machine.systemctl('start', 'wanting.target');
      // As at a shutdown, but that the machine stays on.
      await machine.systemctl('start', 'shutdown.target');
      expect(await timeOf(machine, guestUnit, 'InactiveEnter')).toBeLessThanOrEqual(
        await timeOf(machine, dbUnit, 'ActiveExit'),
      );
      await machine.systemctl('start', 'multi-user.target', dbUnit, guestUnit);
      const args = (await guest.migrateArguments()).filter((arg) => arg !== '--json');
      const { result } = await vmferry(...args, '--hold', '--service');
      expect(result).toMatchObject({ type: 'move-service', unit: moveUnit, isSystem: true });
      await eventually('the copy is held', 60_000, isHeld(vmferry));
      await machine.shutDown();
    }
    // The guests were halted, the move killed: it removed nothing of the copy.
    expect(umlProcessesOf(null, hosts.old.umlDir)).toEqual([]);
    expect(await isFileSystemClean(guest.image.path)).toBe(true);
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    expect(await hosts.filesOnNew()).toContain('web.img.partial');

    {
      await using machine = await boot();
      const vmferry = vmferryOn(machine);
      await eventually('the copy is held again', 60_000, isHeld(vmferry));
      expect(await timeOf(machine, dbUnit, 'ActiveEnter')).toBeLessThanOrEqual(
        await timeOf(machine, guestUnit, 'InactiveExit'),
      );
      // It did not begin before its guest was up.
      expect(await machine.systemctl('show', '-P', 'NRestarts', moveUnit)).toBe('0');
      await vmferry('cutover', 'web');
      await eventually('the service has ended', 60_000, async () => {
        return (await machine.systemctl('show', '-P', 'ActiveState', moveUnit)) === 'inactive';
      });
      expect(existsSync(join(units, moveUnit))).toBe(false);
      await expectMoved();
      await machine.shutDown();
    }

    {
      // The unit that starts the guest is still there, and finds it fenced.
      await using machine = await boot();
      expect(await machine.systemctl('show', '-P', 'Result', guestUnit)).toBe('exit-code');
      await expectMoved();
      await machine.shutDown();
    }
    expect(watch.seen).toEqual([]);
  });
});

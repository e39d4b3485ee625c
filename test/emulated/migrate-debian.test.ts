import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { copyDebianGuest, debianGuestMissing, type DebianInit } from '../rigs/debian-guest/debian-guest.ts';
import { bootReportOf, type BootReport } from '../rigs/debian-guest/boot-report.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import { bootUmlGuest } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../support/guests/uml-processes.ts';
import { resultOf } from '../support/programs/command-records.ts';
import { describeUnless, findTool, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const slowMs = 15 * 60_000;
const slow = ['--boot-timeout', '600', '--halt-timeout', '300'];
const mac = '52:54:00:00:00:77';

const missing =
  debianGuestMissing() ??
  guestKernelMissing() ??
  umlMissing() ??
  networkLabMissing() ??
  toolsMissing('qemu-system-x86_64', 'debugfs', 'e2fsck');

interface Moved {
  before: BootReport;
  after: BootReport;
  changes: string;
  /** Its images on the two hosts. */
  paths: { old: string; new: string };
}

describeUnless(missing, 'a running Debian guest of User Mode Linux', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  /** Moves it to QEMU with one command, and returns when it is up there. */
  async function moveToQemu(init: DebianInit): Promise<Moved> {
    const paths = { old: join(hosts.old.images, `${init}.img`), new: join(hosts.new.images, `${init}.img`) };
    await copyDebianGuest(init, paths.old);
    const booted = await bootUmlGuest({
      image: paths.old,
      name: init,
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
      memoryBytes: 256 * 2 ** 20,
      extraArgs: [`eth0=daemon,${mac}`],
      upText: /REPORT end/,
      timeoutMs: slowMs,
    });
    hosts.defer(booted.stop);
    const before = bootReportOf(readFileSync(booted.consoleLog, 'latin1'));
    const { kernel, initrd } = await guestKernel();
    const as = ['--as', 'qemu', '--kernel', kernel, '--initrd', initrd];
    const ended = await hosts.run(['migrate', init, ...hosts.targetArguments(), ...as, ...slow, '--json']);
    const { changes } = resultOf<{ changes: string[] }>(ended);
    expect(umlProcessesOf(init, hosts.old.umlDir)).toEqual([]);
    expectIntact(paths.old);
    const console = () => readFileSync(join(hosts.new.stateDir, 'console', `${init}.log`), 'latin1');
    await eventually(
      `${init} is up`,
      slowMs,
      () => /REPORT end/.test(console()) && console().includes('umlguest login:'),
    );
    return { before, after: bootReportOf(console()), changes: changes.join('\n'), paths };
  }

  function expectUpAsBefore({ before, after }: Moved): void {
    expect(after.failed.filter((unit) => !before.failed.includes(unit))).toEqual([]);
    expect(after).toMatchObject({ running: '', cards: 'eth0 lo', root: 'rw', former: '/dev/vda' });
    expect(after.address).toContain('10.0.2.15');
    // Nothing waited for the swap that is not there. Only the kernel's command line, which masks it, names it.
    expect(after.console.replaceAll(/.*ommand line: .*/g, '')).not.toMatch(/ubdb/);
  }

  test(
    'with systemd runs on under QEMU as before, and no byte of its disk was changed for that',
    async () => {
      const moved = await moveToQemu('systemd');
      expectUpAsBefore(moved);
      expect(moved.changes).toContain('At boot the disk /dev/vda can also be used as /dev/ubda.');
      expect(moved.changes).not.toContain('/etc/');
      const halted = await hosts.runOnNew(['halt', 'systemd', '--halt-timeout', '300']);
      expect(halted).toMatchObject({ exitStatus: 0 });
      expectIntact(moved.paths.new);
    },
    slowMs,
  );

  test(
    'with sysvinit runs on under QEMU as before, and is taken back',
    async () => {
      const moved = await moveToQemu('sysvinit');
      expectUpAsBefore(moved);
      expect(moved.changes).toContain('/etc/inittab: the login prompt of tty0 is on ttyS0 now.');
      expect(moved.changes).not.toContain('/etc/fstab');
      expect(moved.after.getty).toContain('ttyS0');

      const reverted = await hosts.run(['revert', 'sysvinit', ...slow, '--json']);
      expect(resultOf(reverted)).toMatchObject({ type: 'reverted', wasRunningThere: true });
      expectIntact(moved.paths.new);
      const log = join(hosts.old.stateDir, 'console', 'sysvinit.log');
      await eventually('sysvinit is up again', slowMs, () => /REPORT end/.test(readFileSync(log, 'latin1')));
      const again = bootReportOf(readFileSync(log, 'latin1'));
      expect(again).toMatchObject({ root: 'rw', cards: moved.before.cards });
      expect(again.getty).toContain('tty0');
    },
    slowMs,
  );
});

function expectIntact(image: string): void {
  expect(spawnSync(findTool('e2fsck') ?? 'e2fsck', ['-fn', image]).status).toBe(0);
}

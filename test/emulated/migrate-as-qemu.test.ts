import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { guestKernel, guestKernelMissing, type GuestKernel } from '../rigs/kernel/guest-kernel.ts';
import { eventually, ferriedGuest, type FerriedGuest } from '../support/guests/ferried-guest.ts';
import { damagedGuestFiles, GUEST_PORT, guestBootCount } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { errorOf, resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing, type LabHost } from '../support/ssh/network-lab.ts';
import { answerOfGuest, GUEST_ADDRESS, GUEST_TAP, shareNetwork } from '../support/ssh/shared-network.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing =
  umlMissing() ??
  networkLabMissing() ??
  guestKernelMissing() ??
  toolsMissing('qemu-system-x86_64', 'debugfs');

const MAC = '52:54:00:07:07:78';
/** Without hardware virtualization, a guest of QEMU takes several times as long to boot. */
const BOOT_SECONDS = '150';

describeUnless(missing, 'a guest of User Mode Linux that becomes a guest of QEMU', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let kernel: GuestKernel;
  beforeAll(async () => {
    kernel = await guestKernel();
    hosts = await startTwoHosts();
    await shareNetwork(hosts);
    guest = await ferriedGuest(hosts, 'web', {
      network: { hostName: 'web', address: `${GUEST_ADDRESS}/24` },
      extraArgs: [`eth0=tuntap,${GUEST_TAP},${MAC}`],
    });
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  /** What the guest answers to the other host: its name, the count of its boots, and the address of its card. */
  const answerTo = (host: LabHost): Promise<string> => answerOfGuest(hosts, host);

  const migrateArguments = async (): Promise<string[]> => [
    ...(await guest.migrateArguments()),
    '--as',
    'qemu',
    '--kernel',
    kernel.kernel,
    '--initrd',
    kernel.initrd,
    '--boot-timeout',
    BOOT_SECONDS,
  ];

  test('is shown everything that changes before anything is touched', async () => {
    const plan = resultOf<{ changes: string[] }>(
      await hosts.run([...(await migrateArguments()), '--dry-run']),
    );
    expect(plan).toMatchObject({ type: 'plan', as: 'qemu' });
    expect(plan.changes.join('\n')).toContain(kernel.kernel);
    expect(plan.changes.join('\n')).toMatch(/vda/);
    expect(guest.runsOn('old')).toBe(true);
    expect(await hosts.filesOnNew()).toEqual([]);
  });

  test('that the new machine does not have a kernel for is not touched', async () => {
    const argv = [...(await guest.migrateArguments()), '--as', 'qemu', '--kernel', '/nowhere/vmlinuz'];
    expect(errorOf(await hosts.run(argv))).toMatchObject({
      message: expect.stringContaining('/nowhere/vmlinuz'),
    });
    expect(guest.runsOn('old')).toBe(true);
    expect(await hosts.filesOnNew()).toEqual([]);
  });

  test('runs there as before, and runs here again from its untouched image after a revert', async () => {
    const pid = guest.pid();
    const boots = await guestBootCount(guest.image.path);
    expect(await answerTo('new')).toBe(`web boots=${boots} ${MAC}`);
    const probe = ['--address', GUEST_ADDRESS, '--probe', `tcp:${GUEST_PORT}`, '--probe-for', '150s'];
    // Without --keep-open the move would be committed now.
    const report = resultOf(await hosts.run([...(await migrateArguments()), ...probe, '--keep-open']));
    expect(report).toMatchObject({
      type: 'moved',
      guest: 'web',
      as: 'qemu',
      probes: [{ outcome: 'passed' }],
      committed: false,
    });
    expect(await answerTo('old')).toBe(`web boots=${boots + 1} ${MAC}`);
    expect(await guestBootCount(guest.image.path)).toBe(boots);
    expect(guest.pid()).not.toBe(pid);
    const there = JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout) as object;
    expect(there).toMatchObject({ guests: [{ name: 'web', driver: 'qemu', state: 'running' }] });

    // It knows nothing of a power button. When it has not reacted to that for so long, it is halted by Ctrl-Alt-Del.
    const reverted = await hosts.run(['revert', 'web', '--halt-timeout', '20', '--json']);
    expect(resultOf(reverted)).toMatchObject({ type: 'reverted', wasRunningThere: true });
    const target = join(hosts.new.images, 'web.img');
    expect(await guestBootCount(target)).toBe(boots + 1);
    expect(await damagedGuestFiles(target, guest.image.files)).toEqual([]);
    expect(guest.runsOn('old')).toBe(true);
    await eventually('web answers here again', 60_000, async () =>
      (await answerTo('new')).startsWith(`web boots=${boots + 1} `),
    );
    expect((await hosts.run(['halt', 'web'])).exitStatus).toBe(0);
    expect(await guestBootCount(guest.image.path)).toBe(boots + 1);
    expect(await damagedGuestFiles(guest.image.path, guest.image.files)).toEqual([]);
  });
});

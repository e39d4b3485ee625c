import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestKernel, guestKernelMissing, type GuestKernel } from '../rigs/kernel/guest-kernel.ts';
import { ferriedGuest, type FerriedGuest } from '../support/guests/ferried-guest.ts';
import { damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { errorOf, resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing =
  umlMissing() ??
  networkLabMissing() ??
  guestKernelMissing() ??
  toolsMissing('qemu-system-x86_64', 'debugfs');

/** Without hardware virtualization, a guest of QEMU takes several times as long to boot. */
const BOOT_SECONDS = '150';

describeUnless(missing, 'a guest of User Mode Linux that becomes a guest of QEMU', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  let kernel: GuestKernel;
  beforeAll(async () => {
    kernel = await guestKernel();
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'web');
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

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
    const report = resultOf(await hosts.run(await migrateArguments()));
    expect(report).toMatchObject({ type: 'moved', guest: 'web', as: 'qemu' });
    const before = sha256Of(guest.image.path);
    expect(guest.pid()).not.toBe(pid);
    const there = JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout) as object;
    expect(there).toMatchObject({ guests: [{ name: 'web', driver: 'qemu', state: 'running' }] });

    const reverted = await hosts.run(['revert', 'web', '--json']);
    expect(resultOf(reverted)).toMatchObject({ type: 'reverted', wasRunningThere: true });
    const target = join(hosts.new.images, 'web.img');
    expect(await guestBootCount(target)).toBe(boots + 1);
    expect(await damagedGuestFiles(target, guest.image.files)).toEqual([]);
    expect(guest.runsOn('old')).toBe(true);
    expect((await hosts.run(['halt', 'web'])).exitStatus).toBe(0);
    expect(await guestBootCount(guest.image.path)).toBe(boots + 1);
    expect(sha256Of(guest.image.path)).not.toBe(before);
  });
});

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

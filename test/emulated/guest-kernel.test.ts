import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { makeMachineDirectory, startQemu } from '../rigs/base/qemu-process.ts';
import { withQmp } from '../rigs/base/qmp.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { powerButton } from '../support/guests/guest-programs.ts';
import { buildGuestImage, damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

describeUnless(
  guestKernelMissing() ?? toolsMissing('qemu-system-x86_64', 'debugfs'),
  'a guest of User Mode Linux',
  () => {
    test.each([
      ['virtio', 'vda'],
      ['ide', 'sda'],
    ])(
      'boots under QEMU with the kernel of the rigs, its disk on %s, and knows its power button',
      async (bus, device) => {
        const { kernel, initrd } = await guestKernel();
        const directory = await makeMachineDirectory();
        const { path, files } = await buildGuestImage({
          path: join(directory, 'guest.img'),
          programs: [powerButton],
        });
        const monitor = join(directory, 'qmp');
        await using qemu = await startQemu(directory, [
          '-m',
          '256',
          '-kernel',
          kernel,
          '-initrd',
          initrd,
          '-append',
          `root=/dev/${device} rw console=ttyS0 panic=-1`,
          '-drive',
          `file=${path},format=raw,if=${bus}`,
          '-qmp',
          `unix:${monitor},server=on,wait=off`,
        ]);
        await qemu.waitFor('the guest', 60, () => qemu.console().includes('GUEST-UP boots=1'));
        // The program that listens for it may have only just begun.
        await qemu.waitFor('its end', 30, async () => {
          await withQmp(monitor, (qmp) => qmp('system_powerdown')).catch(() => undefined);
          return qemu.console().includes('reboot: Power down');
        });
        expect(await guestBootCount(path)).toBe(1);
        expect(await damagedGuestFiles(path, files)).toEqual([]);
      },
    );
  },
);

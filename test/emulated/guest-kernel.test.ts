import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { makeMachineDirectory, startQemu } from '../rigs/base/qemu-process.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { buildGuestImage, damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

describeUnless(
  guestKernelMissing() ?? toolsMissing('qemu-system-x86_64', 'debugfs'),
  'a guest of User Mode Linux',
  () => {
    test.each([
      ['virtio', 'vda'],
      ['ide', 'sda'],
    ])('boots under QEMU with the kernel of the rigs, its disk on %s', async (bus, device) => {
      const { kernel, initrd } = await guestKernel();
      const directory = await makeMachineDirectory();
      const { path, files } = await buildGuestImage({ path: join(directory, 'guest.img') });
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
      ]);
      await qemu.waitFor('the guest', 60, () => qemu.console().includes('GUEST-UP boots=1'));
      expect(await guestBootCount(path)).toBe(1);
      expect(await damagedGuestFiles(path, files)).toEqual([]);
    });
  },
);

import { join } from 'node:path';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { writeDomain } from '../../src/guest/drivers/libvirt/domain/write-domain.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt } from '../rigs/libvirt/libvirt-lab.ts';
import { powerButton } from '../support/guests/guest-programs.ts';
import { buildGuestImage } from '../support/guests/uml-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { describeGuestDriver } from '../contract/guest-driver-contract.ts';

/** Without hardware virtualization, a guest boots in 10 s, and in several times as long on a busy machine. */
const timeoutMs = 90_000;

describeUnless(libvirtMissing() ?? guestKernelMissing(), 'with real guests', () => {
  describeGuestDriver('libvirt', async () => {
    const { kernel, initrd } = await guestKernel();
    const lab = await startLibvirt();
    const scratch = scratchDirectory();
    return {
      driver: createLibvirtDriver(lab.environment),
      scratch: scratch.path,
      timeoutMs,
      async make(name, temper) {
        const path = join(scratch.path, `${name}.img`);
        await buildGuestImage({
          path,
          dataBytes: 65_536,
          ...(temper === 'stubborn'
            ? { onCtrlAltDel: 'ignore' }
            : { onCtrlAltDel: 'quick-poweroff', programs: [powerButton] }),
        });
        const definition: GuestDefinition = {
          name,
          driver: 'libvirt',
          memoryBytes: 192 * 2 ** 20,
          cpuCount: 1,
          kernel,
          initrd: temper === 'unbootable' ? '/nowhere/initrd' : initrd,
          disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio' }],
          commandLine: [
            'root=/dev/vda',
            'rw',
            'console=ttyS0',
            'panic=-1',
            'loglevel=5',
            ...(temper === 'broken' ? ['init=/nowhere'] : []),
          ],
          console: 'ttyS0',
        };
        // Emulated, also where KVM would work: all machines test the same.
        return { ...definition, native: { text: writeDomain(definition, 'qemu'), beyond: [] } };
      },
      startByHand: async ({ name }) => (await lab.virsh('start', name)).exitStatus === 0,
      async [Symbol.asyncDispose]() {
        await lab[Symbol.asyncDispose]();
        scratch[Symbol.dispose]();
      },
    };
  });
});

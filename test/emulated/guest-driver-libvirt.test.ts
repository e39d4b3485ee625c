import { expect, test } from '@jest/globals';
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
const context = { signal: new AbortController().signal, report: () => undefined };

interface Boot {
  kernel: string;
  initrd: string;
  arguments?: readonly string[];
}

function definitionOf(name: string, path: string, { kernel, initrd, ...rest }: Boot): GuestDefinition {
  const definition: GuestDefinition = {
    name,
    driver: 'libvirt',
    memoryBytes: 192 * 2 ** 20,
    cpuCount: 1,
    kernel,
    initrd,
    disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio' }],
    commandLine: [
      'root=/dev/vda',
      'rw',
      'console=ttyS0',
      'panic=-1',
      'loglevel=5',
      ...(rest.arguments ?? []),
    ],
    console: 'ttyS0',
  };
  // Emulated, also where KVM would work: all machines test the same.
  return { ...definition, native: { text: writeDomain(definition, 'qemu'), beyond: [] } };
}

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
        return definitionOf(name, path, {
          kernel,
          initrd: temper === 'unbootable' ? '/nowhere/initrd' : initrd,
          arguments: temper === 'broken' ? ['init=/nowhere'] : [],
        });
      },
      startByHand: async ({ name }) => (await lab.virsh('start', name)).exitStatus === 0,
      async [Symbol.asyncDispose]() {
        await lab[Symbol.asyncDispose]();
        scratch[Symbol.dispose]();
      },
    };
  });

  test(
    'a guest that listens to its power button only later is halted all the same',
    async () => {
      await using lab = await startLibvirt();
      using scratch = scratchDirectory();
      const driver = createLibvirtDriver(lab.environment);
      const path = join(scratch.path, 'late.img');
      const [start = ''] = powerButton.startLines;
      const late = start
        .replace('busybox acpid', "sh -c 'busybox sleep 12; exec busybox acpid")
        .replace(' 2>', "' 2>");
      await buildGuestImage({
        path,
        dataBytes: 65_536,
        onCtrlAltDel: 'ignore',
        programs: [{ ...powerButton, startLines: [late] }],
      });
      const definition = definitionOf('late', path, await guestKernel());
      await driver.keep(definition, context);
      const started = await driver.start(
        definition,
        { consoleLog: join(scratch.path, 'log'), timeoutMs },
        context,
      );
      await driver.halt(started, { force: false, timeoutMs }, context);
      expect(await driver.list(context)).toEqual([]);
    },
    3 * timeoutMs,
  );
});

import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createXenDriver } from '../../../src/guest/drivers/xen/driver.ts';
import { run } from '../../../src/system/processes.ts';
import { describeGuestDriver } from '../guest-driver-contract.ts';
import { runAll } from './jest-globals.ts';
import { describeProbe } from './xen-probe.ts';

/* Started in dom0: `node xen-suite.js DIRECTORY KERNEL INITRD`. The directory has the images obedient.img and stubborn.img. */

const [, , directory = '', kernel = '', initrd = ''] = process.argv;
const context = { signal: new AbortController().signal, report: () => undefined };

describeGuestDriver('Xen', async () => {
  const driver = createXenDriver(process.env);
  const scratch = join(directory, 'scratch');
  await mkdir(scratch);
  return {
    driver,
    scratch,
    timeoutMs: 600_000,
    async make(name, temper) {
      const path = join(scratch, `${name}.img`);
      await copyFile(join(directory, temper === 'stubborn' ? 'stubborn.img' : 'obedient.img'), path);
      return {
        name,
        driver: 'xen',
        memoryBytes: 128 * 2 ** 20,
        cpuCount: 1,
        kernel,
        initrd: temper === 'unbootable' ? '/nowhere/initrd' : initrd,
        // Without a first program the kernel panics, and Xen ends the domain.
        commandLine: [
          'root=/dev/xvda',
          'rw',
          'console=hvc0',
          ...(temper === 'broken' ? ['init=/sbin/nothing'] : []),
        ],
        virtualization: 'pv',
        disks: [{ device: 'xvda', path, readOnly: false, bus: 'xen' }],
      };
    },
    startByHand: async ({ name }) =>
      (await run('xl', ['create', '-q', `/etc/xen/${name}.cfg`])).exitStatus === 0,
    async [Symbol.asyncDispose]() {
      for (const guest of await driver.list(context))
        await driver.halt(guest, { timeoutMs: 1, force: true }, context);
    },
  };
});

describeProbe(kernel);

await runAll();

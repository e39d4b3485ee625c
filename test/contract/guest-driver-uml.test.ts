import { join } from 'node:path';
import { createUmlDriver } from '../../src/guest/drivers/uml/driver.ts';
import { buildGuestImage, GUEST_MEMORY_BYTES, quickBoot } from '../support/guests/uml-guest.ts';
import { umlKernel, umlMissing } from '../support/guests/uml-kernel.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { describeGuestDriver } from './guest-driver-contract.ts';

describeUnless(umlMissing(), 'with real guests', () => {
  describeGuestDriver('User Mode Linux', async () => {
    const scratch = scratchDirectory();
    const driver = createUmlDriver({ ...process.env, UML_DIR: join(scratch.path, 'uml') });
    return {
      driver,
      scratch: scratch.path,
      async make(name, temper) {
        const path = join(scratch.path, `${name}.img`);
        const onCtrlAltDel = temper === 'stubborn' ? 'ignore' : 'quick-poweroff';
        await buildGuestImage({ path, dataBytes: 65_536, onCtrlAltDel });
        return {
          name,
          driver: 'uml',
          memoryBytes: GUEST_MEMORY_BYTES,
          cpuCount: null,
          kernel: umlKernel(),
          initrd: temper === 'unbootable' ? '/nowhere/initrd' : null,
          disks: [{ device: 'ubd0', path, readOnly: false }],
          commandLine: [temper === 'broken' ? 'root=/dev/ubdb' : 'root=/dev/ubda', 'rw', ...quickBoot],
        };
      },
      async [Symbol.asyncDispose]() {
        const context = { signal: new AbortController().signal, report: () => undefined };
        for (const guest of await driver.list(context))
          await driver.halt(guest, { timeoutMs: 1, force: true }, context);
        scratch[Symbol.dispose]();
      },
    };
  });
});

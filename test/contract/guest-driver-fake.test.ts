import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BROKEN,
  fakeDefinition,
  fakeDriver,
  MISSING_KERNEL,
  STUBBORN,
} from '../support/guests/fake-driver.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeGuestDriver } from './guest-driver-contract.ts';

describeGuestDriver('the fake driver that other tests use', async () => {
  const scratch = scratchDirectory();
  const words = { obedient: [], unbootable: [], stubborn: [STUBBORN], broken: [BROKEN] };
  return {
    driver: fakeDriver(),
    scratch: scratch.path,
    async make(name, temper) {
      const image = join(scratch.path, `${name}.img`);
      writeFileSync(image, 'a disk');
      const kernel = temper === 'unbootable' ? MISSING_KERNEL : null;
      return fakeDefinition(name, [image], { kernel, commandLine: words[temper] });
    },
    async [Symbol.asyncDispose]() {
      scratch[Symbol.dispose]();
    },
  };
});

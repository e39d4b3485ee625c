import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from '@jest/globals';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { fakeDefinition } from '../../support/guests/fake-driver.ts';
import { umlKernel, umlMissing } from '../../support/guests/uml-kernel.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

describeUnless(umlMissing(), 'a kernel of User Mode Linux', () => {
  const driver = createUmlDriver(process.env);

  test('tells its version and how it was built', async () => {
    const definition = fakeDefinition('web', [], { kernel: umlKernel() });
    const facts = await driver.kernelFacts(definition, context);
    expect(facts).toMatchObject({ path: umlKernel(), version: expect.stringMatching(/^\d+\.\d+/) });
    expect(facts?.config).toMatch(/^CONFIG_UML=y$/m);
    expect(facts?.config).toMatch(/^CONFIG_EXT4_FS=y$/m);
  });

  test.each(['#!/bin/sh\nexit 1\n', '#!/bin/sh\necho no version of anything\n', 'not a program'])(
    'that tells nothing is no trouble: %j',
    async (text) => {
      using scratch = scratchDirectory();
      const kernel = join(scratch.path, 'linux');
      writeFileSync(kernel, text, { mode: 0o755 });
      const definition = fakeDefinition('web', [], { kernel });
      expect(await driver.kernelFacts(definition, context)).toBeNull();
    },
  );
});

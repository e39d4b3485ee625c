import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { findOldImages } from '../../../src/guest/disks/old-images.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { failureOf } from '../../support/failures.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
let scratch: ReturnType<typeof scratchDirectory>;

beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => scratch[Symbol.dispose]());

test('no image may be deleted while a hypervisor cannot say which guests have it', async () => {
  const image = join(scratch.path, 'web.img');
  writeFileSync(image, '');
  const records = createRecordStore(join(scratch.path, 'records'));
  const web = fakeDefinition('web', [image]);
  const driver = fakeDriver();
  expect(await findOldImages(web, { drivers: [driver], records }, context)).toMatchObject({ files: [image] });
  const silence = new Failure('hypervisor-missing', 'libvirt does not answer.');
  const silent = { ...fakeDriver(), list: () => Promise.reject(silence) };
  const found = () => findOldImages(web, { drivers: [driver, silent], records }, context);
  expect(await failureOf(found)).toMatchObject({ code: 'hypervisor-missing' });
});

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { hasEmulatedTpm, missingTpmState } from '../../../../../src/guest/drivers/libvirt/checks/tpm.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

const uuid = '4dea22b3-1d52-4f3a-8a1c-0123456789ff';
const domain = (tpm: string) => `<domain type="kvm"><name>web</name><devices>${tpm}</devices></domain>`;
const emulator = (rest = '') =>
  domain(`<tpm model="tpm-crb"><backend type="emulator" version="2.0">${rest}</backend></tpm>`);
const passedThrough = domain('<tpm><backend type="passthrough"><device path="/dev/tpm0"/></backend></tpm>');

test('only an emulated TPM has its state on the machine', () => {
  expect(hasEmulatedTpm(emulator())).toBe(true);
  expect(hasEmulatedTpm(passedThrough)).toBe(false);
  expect(hasEmulatedTpm(domain(''))).toBe(false);
});

test('the state has to be in the directory of the guest, or where its definition says', () => {
  using scratch = scratchDirectory();
  const named = join(scratch.path, 'named');
  const found = (text: string) =>
    missingTpmState(text, { name: 'web', uuid }, scratch.path).map(({ message, advice }) => [
      /disks: (\S+) is not/.exec(message)?.[1],
      /mkdir -p (\S+)`/.exec(String(advice))?.[1],
    ]);
  const own = join(scratch.path, uuid);
  expect(found(emulator())).toEqual([[own, own]]);
  expect(found(emulator(`<source type="dir" path="${named}"/>`))).toEqual([[named, named]]);
  mkdirSync(join(scratch.path, uuid));
  expect(found(emulator())).toEqual([]);
  mkdirSync(named);
  expect(found(emulator(`<source type="dir" path="${named}"/>`))).toEqual([]);
});

test('a guest without a UUID never had a TPM', () => {
  expect(missingTpmState(emulator(), { name: 'web' }, '/nowhere')).toEqual([]);
});

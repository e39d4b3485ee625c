import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  hasEmulatedTpm,
  missingTpmState,
  tpmStateNotice,
} from '../../../../../src/guest/drivers/libvirt/checks/tpm.ts';
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

test('the state that is there is told of with the time of its last change', () => {
  using scratch = scratchDirectory();
  const named = join(scratch.path, 'named');
  const notice = (rest = '') => tpmStateNotice(emulator(rest), { name: 'web', uuid }, scratch.path);
  const changed = (file: string, at: string) => {
    writeFileSync(file, '');
    utimesSync(file, new Date(at), new Date(at));
  };
  expect(notice()).toBeNull();
  mkdirSync(join(scratch.path, uuid, 'tpm2'), { recursive: true });
  expect(notice()).toMatch(/^The emulated TPM of web will begin empty: .*\/4dea22b3\S+ has no state/);
  changed(join(scratch.path, uuid, 'tpm2/tpm2-00.permall'), '2026-03-01T10:11:12Z');
  expect(notice()).toMatch(/4dea22b3-1d52-4f3a-8a1c-0123456789ff, last changed 2026-03-01 10:11:12 UTC\./);
  mkdirSync(named);
  changed(join(named, 'tpm2-00.permall'), '2026-04-01T00:00:00Z');
  expect(notice(`<source type="dir" path="${named}"/>`)).toContain(
    '/named, last changed 2026-04-01 00:00:00',
  );
  expect(tpmStateNotice(passedThrough, { name: 'web', uuid }, scratch.path)).toBeNull();
});

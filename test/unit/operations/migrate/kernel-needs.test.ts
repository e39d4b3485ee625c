import { expect, test } from '@jest/globals';
import { kernelNeeds } from '../../../../src/operations/migrate/conversion/kernel-needs.ts';

test('a kernel needs each kind of file system once, of all disks that could be opened', () => {
  const content = (kind: string) => ({ kind, length: 512, clean: null, usedBytes: null, skippable: false });
  const region = (kind: string) => ({ ...content(kind), offset: 0 });
  const layout = (...kinds: string[]) => ({ layout: { regions: kinds.map(region) } });
  const volume = { ...content('jfs'), name: 'root', pieces: [] };
  const volumeGroup = { name: 'vg0', volumes: [volume], unallocated: [] };
  const inGroup = { layout: { regions: [{ ...region('lvm2'), volumeGroup }] } };
  const needs = kernelNeeds([layout('ext4', 'swap'), null, layout('xfs', 'ext4'), inGroup], null);
  expect(needs).toEqual({ fileSystems: ['ext4', 'swap', 'xfs', 'jfs'], modulesOf: null });
});

test('the kernels whose modules are in the guest are told by their versions', () => {
  const kernels = [{ version: '6.1.0-9-amd64' }];
  expect(kernelNeeds([], { kernels })).toEqual({ fileSystems: [], modulesOf: ['6.1.0-9-amd64'] });
});

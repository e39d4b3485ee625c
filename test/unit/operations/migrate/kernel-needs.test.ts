import { expect, test } from '@jest/globals';
import { kernelNeeds } from '../../../../src/operations/migrate/conversion/kernel-needs.ts';

test('a kernel needs each kind of file system once, of all disks that could be opened', () => {
  const layout = (...kinds: string[]) => ({ layout: { regions: kinds.map((kind) => ({ kind })) } });
  const needs = kernelNeeds([layout('ext4', 'swap'), null, layout('xfs', 'ext4')], null);
  expect(needs).toEqual({ fileSystems: ['ext4', 'swap', 'xfs'], modulesOf: null });
});

test('the kernels whose modules are in the guest are told by their versions', () => {
  const kernels = [{ version: '6.1.0-9-amd64' }];
  expect(kernelNeeds([], { kernels })).toEqual({ fileSystems: [], modulesOf: ['6.1.0-9-amd64'] });
});

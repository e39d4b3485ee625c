import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import {
  checkKernel,
  kernelFactsOf,
  type KernelNeeds,
} from '../../../../src/guest/preflight/check-kernel.ts';
import { kernelVersion } from '../../../../src/guest/inspection/kernel-version.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let kernel: string;
let told: Event[];

/** The header of an x86 kernel, with the version where the header says. */
function kernelFile(version: string): Buffer {
  const file = Buffer.alloc(4096);
  file.write('HdrS', 0x202, 'latin1');
  file.writeUInt16LE(0x400, 0x20e);
  file.write(`${version} (builder@example) #1 SMP\0`, 0x600, 'latin1');
  return file;
}

beforeEach(() => {
  scratch = scratchDirectory();
  kernel = join(scratch.path, 'vmlinuz-6.1.0-9-amd64');
  told = [];
  writeFileSync(kernel, kernelFile('6.1.0-9-amd64'));
  writeFileSync(
    join(scratch.path, 'config-6.1.0-9-amd64'),
    'CONFIG_EXT4_FS=y\nCONFIG_EXT4_USE_FOR_EXT2=y\nCONFIG_XFS_FS=m\n# CONFIG_JFS_FS is not set\n',
  );
});
afterEach(() => scratch[Symbol.dispose]());

function check(needs: Partial<KernelNeeds>, rest: Partial<GuestDefinition> = {}): string[] {
  const definition: GuestDefinition = { ...fakeDefinition('web'), driver: 'qemu', kernel, ...rest };
  const context = { report: (event: Event) => told.push(event) };
  const modules = join(scratch.path, 'modules');
  const facts = kernelFactsOf(definition, modules);
  return checkKernel(definition, { fileSystems: [], modulesOf: null, ...needs }, facts, context).map(
    ({ message }) => message,
  );
}

test('the version is read from the kernel itself, whatever its name', () => {
  expect(kernelVersion(kernel)).toBe('6.1.0-9-amd64');
  writeFileSync(join(scratch.path, 'other'), 'no kernel');
  expect(kernelVersion(join(scratch.path, 'other'))).toBeNull();
  expect(kernelVersion(join(scratch.path, 'missing'))).toBeNull();
});

describe('file systems', () => {
  test('that are in the kernel are no problem', () => {
    expect(check({ fileSystems: ['ext4', 'ext3', 'ext2', 'swap', 'unknown'] })).toEqual([]);
  });

  test('that the kernel does not know are a problem', () => {
    expect(check({ fileSystems: ['jfs'] })).toEqual([
      `The kernel ${kernel} here does not know jfs, which web has.`,
    ]);
  });

  test('that are modules need an initial RAM disk, or the modules in the guest', () => {
    expect(check({ fileSystems: ['xfs'], modulesOf: ['5.10.0-1-amd64'] })).toHaveLength(1);
    // Nobody has looked into the guest, or the modules may come from this machine.
    expect(check({ fileSystems: ['xfs'] })).toEqual([]);
    expect(check({ fileSystems: ['xfs'], modulesOf: [] }, { driver: 'uml' })).toEqual([]);
    expect(check({ fileSystems: ['xfs'], modulesOf: [] }, { initrd: '/boot/initrd' })).toEqual([]);
    expect(check({ fileSystems: ['xfs'], modulesOf: ['6.1.0-9-amd64'] })).toEqual([]);
  });

  test('are not judged without a configuration, and not for a guest with its own kernel', () => {
    const other = join(scratch.path, 'elsewhere');
    mkdirSync(other);
    writeFileSync(join(other, 'vmlinuz'), kernelFile('9.9.9'));
    expect(check({ fileSystems: ['jfs'] }, { kernel: join(other, 'vmlinuz') })).toEqual([]);
    expect(check({ fileSystems: ['jfs'] }, { boot: 'firmware', kernel: null })).toEqual([]);
  });
});

test('a guest with the modules of other kernels only is told of', () => {
  check({ modulesOf: ['5.10.0-1-amd64'] });
  check({ modulesOf: [] });
  check({ modulesOf: ['6.1.0-9-amd64', '5.10.0-1-amd64'] });
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({
    code: 'kernel-differs',
    message: expect.stringContaining('5.10.0-1-amd64'),
  });
});

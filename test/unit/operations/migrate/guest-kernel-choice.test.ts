import { expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import {
  keepGuestKernel,
  wantsGuestKernel,
} from '../../../../src/operations/migrate/conversion/guest-kernel-choice.ts';
import {
  noConversion,
  type ConversionRequest,
} from '../../../../src/operations/migrate/conversion/guest-there.ts';

const wants = (
  driver: GuestDefinition['driver'],
  boot: NonNullable<GuestDefinition['boot']>,
  request: Partial<ConversionRequest>,
) => wantsGuestKernel({ name: 'web', driver, boot }, { ...noConversion, ...request });

test.each([
  ['xen', 'boot-loader', { as: 'qemu' }, 'usual'],
  ['xen', 'boot-loader', { as: 'libvirt' }, 'usual'],
  ['xen', 'boot-loader', { as: 'uml' }, null],
  ['xen', 'boot-loader', { as: 'xen' }, null],
  ['xen', 'boot-loader', {}, null],
  ['xen', 'boot-loader', { as: 'qemu', kernel: '/boot/k' }, null],
  ['xen', 'boot-loader', { as: 'qemu', initrd: '/boot/i' }, null],
  ['xen', 'kernel', { as: 'qemu' }, null],
  ['uml', 'kernel', { as: 'qemu', kernel: 'guest' }, 'chosen'],
  ['xen', 'boot-loader', { as: 'qemu', kernel: 'guest' }, 'chosen'],
  ['qemu', 'kernel', { kernel: 'guest' }, 'chosen'],
  ['qemu', 'firmware', { as: 'libvirt', kernel: 'guest' }, 'chosen'],
] as const)(
  'a guest of %s with the boot %s and %j wants its own kernel: %s',
  (driver, boot, request, wanted) => {
    expect(wants(driver, boot, request)).toBe(wanted);
  },
);

test.each([
  ['qemu', 'kernel', { as: 'uml', kernel: 'guest' }, 'boots only kernels that are made for it'],
  ['qemu', 'kernel', { as: 'xen', kernel: 'guest' }, '--kernel FILE'],
  ['uml', 'kernel', { kernel: 'guest' }, 'boots only kernels that are made for it'],
  ['offline', 'kernel', { kernel: 'guest' }, 'Omit --as, --kernel,'],
  ['offline', 'kernel', { as: 'qemu', kernel: 'guest' }, 'Omit --as, --kernel,'],
  ['libvirt', 'firmware', { kernel: 'guest' }, 'Omit --kernel.'],
  ['uml', 'kernel', { as: 'qemu', kernel: 'guest', initrd: '/boot/i' }, 'Omit --initrd'],
] as const)('a guest of %s with the boot %s and %j is refused: %s', (driver, boot, request, advice) => {
  expect(() => wants(driver, boot, request)).toThrow(
    expect.objectContaining({ code: 'usage', advice: expect.stringContaining(advice) }),
  );
});

test.each([
  ['qemu', '/var/lib/kernel/web', {}, 'guest'],
  ['qemu', '/var/lib/kernel/web', { as: 'libvirt' }, 'guest'],
  ['qemu', '/var/lib/kernel/web', { as: 'uml' }, null],
  ['qemu', '/var/lib/kernel/web', { kernel: '/boot/k' }, '/boot/k'],
  ['qemu', '/var/lib/kernel/web', { initrd: '/boot/i' }, null],
  ['qemu', '/boot/k', {}, null],
  ['xen', '/var/lib/kernel/web', {}, null],
] as const)(
  'a guest of %s with the kernel %s and %j goes on with the kernel %s',
  (driver, kernel, request, wanted) => {
    const kept = keepGuestKernel(
      { ...noConversion, ...request },
      { driver, kernel },
      { kernel: '/var/lib/kernel/web-new', initrd: '/var/lib/initrd/web-new' },
    );
    expect(kept).toEqual({ ...noConversion, ...request, kernel: wanted });
  },
);

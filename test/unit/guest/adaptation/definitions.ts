import type { DriverKind, GuestDefinition } from '../../../../src/guest/definition.ts';

/** A guest whose disks are in these slots. */
export function guestWithDisks(driver: DriverKind, devices: readonly string[]): GuestDefinition {
  return {
    name: 'web',
    driver,
    memoryBytes: null,
    cpuCount: null,
    kernel: '/boot/kernel',
    initrd: null,
    disks: devices.map((device) => ({ device, path: `/srv/${device}.img`, readOnly: false })),
    commandLine: [],
  };
}

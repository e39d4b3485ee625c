import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { writeDomain } from '../../../src/guest/drivers/libvirt/domain/write-domain.ts';

/** A guest that only runs its BIOS, which finds nothing to boot and waits. */
export function plain(name: string, path: string, rest: Partial<GuestDefinition> = {}): GuestDefinition {
  return {
    name,
    driver: 'libvirt',
    memoryBytes: 32 * 2 ** 20,
    cpuCount: 1,
    kernel: null,
    initrd: null,
    commandLine: [],
    boot: 'firmware',
    disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio' }],
    console: 'ttyS0',
    ...rest,
  };
}

/** The same with the XML of a domain that needs no KVM. */
export function emulated(definition: GuestDefinition): GuestDefinition {
  return { ...definition, native: { text: writeDomain(definition, 'qemu'), beyond: [] } };
}

/** The same with one disk in the format qcow2. */
export function onQcow2(name: string, path: string): GuestDefinition {
  const disk = { device: 'vda', path, readOnly: false, bus: 'virtio', format: 'qcow2' } as const;
  return emulated(plain(name, path, { disks: [disk] }));
}

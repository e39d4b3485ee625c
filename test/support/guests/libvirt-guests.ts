import type { GuestDefinition } from '../../../src/guest/definition.ts';
import type { createLibvirtDriver } from '../../../src/guest/drivers/libvirt/driver.ts';
import { writeDomain } from '../../../src/guest/drivers/libvirt/domain/write-domain.ts';
import type { KeptGuest, RunningGuest } from '../../../src/guest/guest-driver.ts';
import type { LibvirtLab } from '../../rigs/libvirt/libvirt-lab.ts';

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

const context = { signal: new AbortController().signal, report: () => undefined };

/** What tests ask a libvirt of their own. */
export class LabGuests {
  readonly #lab: LibvirtLab;
  readonly #driver: ReturnType<typeof createLibvirtDriver>;

  constructor(lab: LibvirtLab, driver: ReturnType<typeof createLibvirtDriver>) {
    this.#lab = lab;
    this.#driver = driver;
  }

  async known(name: string): Promise<KeptGuest | undefined> {
    return (await this.#driver.listKept(context)).find(({ definition }) => definition.name === name);
  }

  async running(name: string): Promise<RunningGuest> {
    const found = (await this.#driver.list(context)).find(({ definition }) => definition.name === name);
    if (found === undefined) throw new Error(`${name} does not run`);
    return found;
  }

  /** Its output. */
  async virsh(...args: readonly string[]): Promise<string> {
    const { exitStatus, stdout, stderr } = await this.#lab.virsh(...args);
    if (exitStatus !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}

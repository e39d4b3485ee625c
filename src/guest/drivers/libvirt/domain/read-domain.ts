import type { Element } from '@xmldom/xmldom';
import { Failure } from '../../../../failure.ts';
import { isGuestName, type GuestDefinition } from '../../../definition.ts';
import { attributeOf, find, textOf } from '../xml/elements.ts';
import { parseXml } from '../xml/document.ts';
import { findBeyond } from './beyond.ts';
import { bytesOf } from './quantities.ts';
import { readBoot } from './read-boot.ts';
import { readConsole } from './read-console.ts';
import { readDisks, type VolumePath } from './read-disks.ts';
import { readNetworkCards } from './read-network-cards.ts';
import { isPlainName } from './plain-name.ts';

export interface ReadDomain {
  definition: GuestDefinition;
  /** What keeps the guest from being moved; empty when its definition is complete. */
  problems: readonly Failure[];
}

/**
 * Reads the XML of a domain (https://libvirt.org/formatdomain.html). Throws Failure `guest-unsupported` for a text that is no
 * domain of QEMU.
 * @param name how messages name the text
 * @param volumePath the path of a volume in a storage pool
 */
export function readDomain(text: string, name: string, volumePath: VolumePath = () => undefined): ReadDomain {
  const { root } = parseXml(text, name);
  requireQemuDomain(root, name);
  const guest = textOf(find(root, 'name')) ?? '';
  if (!isGuestName(guest))
    throw new Failure('guest-unsupported', `${name} has a name that vmferry cannot use.`, {
      advice: 'A name may have no slash and no invisible characters, and may not begin with a dot or a dash.',
    });
  const { disks, drives, problems } = readDisks(root, guest, volumePath);
  const networkCards = readNetworkCards(root);
  const clock = attributeOf(find(root, 'clock'), 'offset');
  const cpuModel = readCpuModel(root);
  const machineType = attributeOf(find(root, 'os', 'type'), 'machine');
  const uuid = textOf(find(root, 'uuid'))?.toLowerCase();
  const { nvram, ...boot } = readBoot(root);
  return {
    definition: {
      name: guest,
      driver: 'libvirt',
      memoryBytes: bytesOf(find(root, 'memory')),
      cpuCount: readCpuCount(root),
      ...boot,
      disks: [...disks, ...nvram],
      ...(drives.length === 0 ? {} : { drives }),
      ...(networkCards.length === 0 ? {} : { networkCards }),
      console: readConsole(root),
      ...(clock === 'utc' || clock === 'localtime' ? { clock } : {}),
      ...(isPlainName(machineType) ? { machineType } : {}),
      ...(isPlainName(cpuModel) ? { cpuModel } : {}),
      ...(uuid === undefined ? {} : { uuid }),
      native: { text, beyond: findBeyond(root).slice(0, 1024) },
    },
    problems,
  };
}

function requireQemuDomain(root: Element, name: string): void {
  const type = attributeOf(root, 'type') ?? '';
  if (root.nodeName === 'domain' && ['qemu', 'kvm'].includes(type)) return;
  const what = root.nodeName === 'domain' ? `a domain of type '${type}'` : `<${root.nodeName}>`;
  throw new Failure('guest-unsupported', `${name} is ${what}, not a domain of QEMU or KVM.`);
}

/** How many processors are plugged in when it starts. */
function readCpuCount(root: Element): number | null {
  const vcpu = find(root, 'vcpu');
  const count = attributeOf(vcpu, 'current') ?? textOf(vcpu) ?? '';
  return /^[1-9]\d{0,4}$/.test(count) ? Number(count) : null;
}

/** The name of a model, or of libvirt's way to choose one: `host-passthrough`. */
function readCpuModel(root: Element): string | undefined {
  const cpu = find(root, 'cpu');
  const mode = attributeOf(cpu, 'mode');
  return mode === undefined || mode === 'custom' ? textOf(find(cpu, 'model')) : mode;
}

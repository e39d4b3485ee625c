import type { GuestDefinition } from '../../../definition.ts';
import { formatXml, parseXml } from '../xml/document.ts';
import { append } from '../xml/edit.ts';
import { setBoot } from './boot-elements.ts';
import { addDisk, addDrive } from './disk-elements.ts';
import { addNetworkCard } from './network-elements.ts';
import { addConsole, setCpuCount, setCpuModel, setMemory } from './update-domain.ts';

/** `kvm`: by the processor's own virtualization; `qemu`: emulated. */
export type DomainType = 'kvm' | 'qemu';

/** What a domain gets that does not say how much. */
const DEFAULT_MEMORY_BYTES = 512 * 2 ** 20;

/** A complete, plain domain for a guest that comes from another hypervisor. */
export function writeDomain(
  definition: GuestDefinition,
  type: DomainType,
  onReboot: 'restart' | 'destroy' = 'restart',
): string {
  const xml = parseXml('<domain/>', 'the new domain');
  const { root } = xml;
  root.setAttribute('type', type);
  append(root, 'name', {}, definition.name);
  if (definition.uuid !== undefined) append(root, 'uuid', {}, definition.uuid);
  setMemory(root, definition.memoryBytes ?? DEFAULT_MEMORY_BYTES);
  setCpuCount(root, definition.cpuCount ?? 1);
  const os = append(root, 'os');
  append(os, 'type', { arch: 'x86_64', machine: definition.machineType }, 'hvm');
  setBoot(os, null, definition);
  if (definition.kernel === null) append(os, 'boot', { dev: 'hd' });
  const features = append(root, 'features');
  append(features, 'acpi');
  append(features, 'apic');
  if (definition.cpuModel !== undefined) setCpuModel(root, definition.cpuModel);
  append(root, 'clock', { offset: definition.clock ?? 'utc' });
  append(root, 'on_poweroff', {}, 'destroy');
  append(root, 'on_reboot', {}, onReboot);
  append(root, 'on_crash', {}, 'destroy');
  const devices = append(root, 'devices');
  for (const disk of definition.disks) if (disk.purpose !== 'uefi-variables') addDisk(devices, disk);
  for (const drive of definition.drives ?? []) addDrive(devices, drive);
  for (const card of definition.networkCards ?? []) addNetworkCard(devices, card);
  addConsole(devices, definition.console ?? 'ttyS0');
  if (definition.console === 'tty0') append(append(devices, 'video'), 'model', { type: 'vga' });
  return formatXml(xml);
}

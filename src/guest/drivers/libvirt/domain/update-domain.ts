import type { Element } from '@xmldom/xmldom';
import type { GuestDefinition } from '../../../definition.ts';
import { formatXml, parseXml } from '../xml/document.ts';
import { all, attributeOf, find } from '../xml/elements.ts';
import { append, ensure, insertAfter, remove, setAttributes, setChildText, setText } from '../xml/edit.ts';
import { setBoot } from './boot-elements.ts';
import { addDisk, addDrive, updateDisk, updateDrive } from './disk-elements.ts';
import { addNetworkCard, updateNetworkCard } from './network-elements.ts';
import { amount } from './quantities.ts';
import { readDomain } from './read-domain.ts';

/** Makes the domain's XML say what the definition says. Everything else in it stays as it is. */
export function updateDomain(text: string, after: GuestDefinition): string {
  const name = `the domain ${after.name}`;
  // The place of a volume is not known here; a disk whose path is known instead becomes a file.
  const before = readDomain(text, name).definition;
  const xml = parseXml(text, name);
  const { root } = xml;
  setAttributes(root, { id: undefined });
  if (after.name !== before.name) setText(ensure(root, 'name'), after.name);
  if (after.uuid !== before.uuid) setChildText(root, 'uuid', after.uuid);
  if (after.memoryBytes !== before.memoryBytes) setMemory(root, after.memoryBytes);
  if (after.cpuCount !== before.cpuCount) setCpuCount(root, after.cpuCount);
  if (after.cpuModel !== before.cpuModel) setCpuModel(root, after.cpuModel);
  const os = ensure(root, 'os');
  setBoot(os, before, after);
  if (after.machineType !== before.machineType)
    setAttributes(ensure(os, 'type'), { machine: after.machineType });
  if (after.clock !== before.clock && after.clock !== undefined)
    setAttributes(ensure(root, 'clock'), { offset: after.clock });
  const devices = ensure(root, 'devices');
  updateDisks(devices, before, after);
  updateNetworkCards(devices, before, after);
  if (after.console !== before.console) addConsole(devices, after.console);
  return formatXml(xml);
}

export function setMemory(root: Element, bytes: number | null): void {
  if (bytes === null) return;
  const { unit, text } = amount(bytes);
  for (const name of ['memory', 'currentMemory']) {
    const element = find(root, name) ?? (name === 'memory' ? append(root, name) : undefined);
    if (element === undefined) continue;
    setAttributes(element, { unit });
    setText(element, text);
  }
}

export function setCpuCount(root: Element, count: number | null): void {
  if (count === null) return;
  const vcpu = ensure(root, 'vcpu');
  setAttributes(vcpu, { current: undefined });
  setText(vcpu, String(count));
  // It must multiply to the number of processors.
  const topology = find(root, 'cpu', 'topology');
  if (topology !== undefined) remove(topology);
}

export function setCpuModel(root: Element, model: string | undefined): void {
  const cpu = find(root, 'cpu');
  if (model === undefined) {
    if (cpu !== undefined) remove(cpu);
    return;
  }
  const element = cpu ?? append(root, 'cpu');
  if (['host-passthrough', 'host-model', 'maximum'].includes(model)) {
    setAttributes(element, { mode: model, match: undefined });
    setChildText(element, 'model', undefined);
  } else {
    setAttributes(element, { mode: 'custom', match: 'exact', migratable: undefined });
    setChildText(element, 'model', model);
  }
}

function updateDisks(devices: Element, before: GuestDefinition, after: GuestDefinition): void {
  const elements = new Map(
    all(devices, 'disk').map((element) => [attributeOf(find(element, 'target'), 'dev') ?? '', element]),
  );
  const known = [...before.disks, ...(before.drives ?? [])];
  const wanted = new Set([...after.disks, ...(after.drives ?? [])].map(({ device }) => device));
  for (const { device } of known) {
    const element = elements.get(device);
    if (element !== undefined && !wanted.has(device)) remove(element);
  }
  for (const disk of after.disks) {
    if (disk.purpose === 'uefi-variables') continue;
    const element = elements.get(disk.device);
    const old = before.disks.find(({ device }) => device === disk.device);
    if (element === undefined) addDisk(devices, disk);
    else updateDisk(element, old ?? { ...disk, path: '' }, disk);
  }
  for (const drive of after.drives ?? []) {
    const element = elements.get(drive.device);
    const old = before.drives?.find(({ device }) => device === drive.device);
    if (element === undefined) addDrive(devices, drive);
    else updateDrive(element, old ?? { ...drive, path: null }, drive);
  }
}

/** Cards have no names of their own: the first belongs to the first, and so on. */
function updateNetworkCards(devices: Element, before: GuestDefinition, after: GuestDefinition): void {
  const elements = all(devices, 'interface');
  const cards = after.networkCards ?? [];
  for (const [index, element] of elements.entries()) {
    const [old, card] = [before.networkCards?.[index], cards[index]];
    if (card === undefined) remove(element);
    else if (old !== undefined) updateNetworkCard(element, old, card);
  }
  for (const card of cards.slice(elements.length)) addNetworkCard(devices, card);
}

/** A serial line, or virtio's console. The screen needs no device: a domain has one. */
export function addConsole(devices: Element, console: GuestDefinition['console']): void {
  const type = console === 'ttyS0' ? 'serial' : console === 'hvc0' ? 'virtio' : null;
  if (type === null) return;
  const first = all(devices, 'console')[0];
  const element =
    first === undefined
      ? append(devices, 'console', { type: 'pty' })
      : // The first console is the one that counts.
        (insertAfter(first, 'console', { type: 'pty' }), remove(first), all(devices, 'console')[0]);
  if (element !== undefined) append(element, 'target', { type, port: '0' });
}

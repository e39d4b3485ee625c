import type { Element } from '@xmldom/xmldom';
import type { NetworkCard } from '../../../definition.ts';
import { all, attributeOf, find } from '../xml/elements.ts';
import { isPlainName } from './plain-name.ts';

/** libvirt's names for models that QEMU calls otherwise. */
const qemuNames: Readonly<Record<string, string>> = {
  virtio: 'virtio-net-pci',
  'virtio-transitional': 'virtio-net-pci-transitional',
  'virtio-non-transitional': 'virtio-net-pci-non-transitional',
};

const libvirtNames = Object.fromEntries(Object.entries(qemuNames).map(([ours, qemus]) => [qemus, ours]));

export function libvirtModel(model: string): string {
  return libvirtNames[model] ?? model;
}

export function readNetworkCards(root: Element): NetworkCard[] {
  return all(find(root, 'devices'), 'interface').map((element) => {
    const mac = attributeOf(find(element, 'mac'), 'address')?.toLowerCase();
    const model = attributeOf(find(element, 'model'), 'type');
    const named = model === undefined ? undefined : (qemuNames[model] ?? model);
    return {
      ...(mac !== undefined && /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac) ? { mac } : {}),
      ...(isPlainName(named) ? { model: named } : {}),
      attachedTo: readAttachment(element),
    };
  });
}

function readAttachment(element: Element): NetworkCard['attachedTo'] {
  const source = find(element, 'source');
  switch (attributeOf(element, 'type')) {
    case 'bridge':
      return named('bridge', attributeOf(source, 'bridge'));
    case 'network':
      return named('network', attributeOf(source, 'network'));
    case 'ethernet':
      return named('tap', attributeOf(find(element, 'target'), 'dev'));
    case 'user':
      return { kind: 'user' };
    default:
      return { kind: 'other' };
  }
}

function named(kind: 'bridge' | 'network' | 'tap', name: string | undefined): NetworkCard['attachedTo'] {
  return isPlainName(name) ? { kind, name } : { kind: 'other' };
}

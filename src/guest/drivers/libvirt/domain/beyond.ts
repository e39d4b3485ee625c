import type { Element } from '@xmldom/xmldom';
import { attributeOf, childrenOf, find, placeOf, textOf } from '../xml/elements.ts';
import { isSerial } from './read-disks.ts';
import { isPlainName } from './plain-name.ts';

/** The whole element does not matter to the guest's start under another hypervisor. */
const whole = '*';

/**
 * The elements that the neutral definition carries, and those that each hypervisor makes by itself (its buses, addresses, screen),
 * with the attributes of which the same is true.
 */
const known: Readonly<Record<string, typeof whole | readonly string[]>> = {
  domain: ['type', 'id'],
  'domain/name': [],
  'domain/uuid': [],
  'domain/memory': ['unit'],
  'domain/currentMemory': ['unit'],
  'domain/vcpu': ['placement', 'current'],
  'domain/resource': whole,
  'domain/metadata': [],
  'domain/os': ['firmware'],
  'domain/os/type': ['arch', 'machine'],
  'domain/os/loader': ['readonly', 'type', 'secure', 'format'],
  'domain/os/nvram': ['template', 'templateFormat', 'type', 'format'],
  'domain/os/nvram/source': ['file', 'index'],
  'domain/os/firmware': whole,
  'domain/os/kernel': [],
  'domain/os/initrd': [],
  'domain/os/cmdline': [],
  'domain/os/boot': ['dev'],
  'domain/os/bootmenu': whole,
  'domain/features': [],
  'domain/features/acpi': [],
  'domain/features/apic': [],
  'domain/features/pae': [],
  'domain/features/vmport': whole,
  'domain/features/smm': whole,
  'domain/cpu': ['mode', 'match', 'check', 'migratable'],
  'domain/cpu/model': ['fallback'],
  'domain/clock': ['offset'],
  'domain/clock/timer': whole,
  'domain/on_poweroff': [],
  'domain/on_reboot': [],
  'domain/on_crash': [],
  'domain/pm': whole,
  'domain/seclabel': whole,
  'domain/devices': [],
  'domain/devices/emulator': whole,
  'domain/devices/controller': whole,
  'domain/devices/input': whole,
  'domain/devices/memballoon': whole,
  'domain/devices/video': whole,
  'domain/devices/audio': whole,
  'domain/devices/rng': whole,
  'domain/devices/disk': ['type', 'device'],
  'domain/devices/disk/driver': ['name', 'type', 'cache', 'io'],
  'domain/devices/disk/source': ['file', 'dev', 'pool', 'volume', 'startupPolicy', 'index'],
  'domain/devices/disk/backingStore': whole,
  'domain/devices/disk/target': ['dev', 'bus', 'tray'],
  'domain/devices/disk/readonly': [],
  'domain/devices/disk/serial': [],
  'domain/devices/disk/alias': whole,
  'domain/devices/disk/address': whole,
  'domain/devices/disk/boot': whole,
  'domain/devices/interface': ['type'],
  'domain/devices/interface/mac': ['address'],
  'domain/devices/interface/source': ['bridge', 'network', 'portid'],
  'domain/devices/interface/target': ['dev', 'managed'],
  'domain/devices/interface/model': ['type'],
  'domain/devices/interface/alias': whole,
  'domain/devices/interface/address': whole,
  'domain/devices/interface/boot': whole,
  'domain/devices/serial': whole,
  'domain/devices/console': whole,
};

const libosinfo = 'http://libosinfo.org/xmlns/libvirt/domain/1.0';

/** What a domain says beyond the neutral definition, each with its line. */
export function findBeyond(root: Element): string[] {
  return walk(root, root.nodeName, root);
}

function walk(element: Element, path: string, root: Element): string[] {
  // virt-install notes there which system was installed.
  if (path.startsWith('domain/metadata/') && element.namespaceURI === libosinfo) return [];
  const attributes = known[path];
  if (attributes === undefined) return isContainer(element) ? childPlaces(element) : [placeOf(element)];
  const hidden = hiddenMeaning(element, path, root);
  if (hidden !== null) return [`${placeOf(element)}${hidden === '' ? '' : ` ${hidden}`}`];
  if (attributes === whole) return [];
  const isKnown = ({ name, prefix }: { name: string; prefix: string | null }) =>
    attributes.includes(name) || name === 'xmlns' || prefix === 'xmlns';
  const own = [...element.attributes].every(isKnown) ? [] : [placeOf(element)];
  return [...own, ...childrenOf(element).flatMap((child) => walk(child, `${path}/${child.nodeName}`, root))];
}

/** What an element that is known by name says beyond the definition; empty: the element shows it; null: nothing. */
function hiddenMeaning(element: Element, path: string, root: Element): string | null {
  const text = textOf(element) ?? '';
  const attribute = (name: string) => attributeOf(element, name);
  switch (path) {
    case 'domain/currentMemory':
      return text === textOf(find(root, 'memory')) ? null : `${text} of ${textOf(find(root, 'memory'))}`;
    case 'domain/vcpu':
      return (attribute('current') ?? text) === text ? null : `of ${text}`;
    case 'domain/os/type':
      return ['x86_64', undefined].includes(attribute('arch')) && isPlainName(attribute('machine') ?? 'pc')
        ? null
        : '';
    case 'domain/cpu':
      return attribute('match') === 'minimum' ? '' : null;
    case 'domain/clock':
      return ['utc', 'localtime', undefined].includes(attribute('offset')) ? null : '';
    case 'domain/on_poweroff':
      return text === 'destroy' ? null : text;
    case 'domain/on_reboot':
      return text === 'restart' ? null : text;
    case 'domain/on_crash':
      return ['destroy', 'restart'].includes(text) ? null : text;
    case 'domain/devices/disk':
      return isOddDisk(element) ? '' : null;
    case 'domain/devices/disk/serial':
      return isSerial(text) ? null : text;
    case 'domain/devices/interface':
      return ['bridge', 'network', 'user', 'ethernet'].includes(attribute('type') ?? '') ? null : '';
    case 'domain/devices/serial':
    case 'domain/devices/console':
      return ['pty', undefined].includes(attribute('type')) ? null : '';
    default:
      return null;
  }
}

/** A disk that passes commands through, or a medium that is no file. */
function isOddDisk(element: Element): boolean {
  const kind = attributeOf(element, 'device');
  const type = attributeOf(element, 'type') ?? 'file';
  return kind === 'lun' || ((kind === 'cdrom' || kind === 'floppy') && !['file', 'block'].includes(type));
}

/** `qemu:commandline` and its like: what is in them counts. */
function isContainer(element: Element): boolean {
  return element.prefix !== null && element.attributes.length === 0 && childrenOf(element).length > 0;
}

function childPlaces(element: Element): string[] {
  return childrenOf(element).map(placeOf);
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Element } from '@xmldom/xmldom';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { parseXml } from '../xml/document.ts';
import { all, attributeOf, childrenOf, find, placeOf, textOf } from '../xml/elements.ts';

/** Something of this machine that a domain names. */
interface NamedThing {
  element: Element;
  /** For people: `the device 0000:03:00.0`. */
  what: string;
  isHere: boolean;
}

/**
 * What the domain's XML names and this machine does not have, beside what the neutral definition carries: files and directories, network
 * interfaces, devices that are passed through. libvirt looks for them only when the guest starts.
 * @param system where the kernel shows its devices (sysfs)
 */
export function missingThings(text: string, name: string, system = '/sys'): Failure[] {
  const { root } = parseXml(text, `the domain ${name}`);
  const devices = find(root, 'devices');
  const things = [
    ...all(find(root, 'os'), 'dtb').map((element) => file(element, textOf(element))),
    // Of UEFI, the neutral definition carries the firmware's path.
    ...all(find(root, 'os'), 'loader').map((element) =>
      attributeOf(element, 'type') === 'pflash' ? null : file(element, textOf(element)),
    ),
    ...all(find(root, 'os', 'acpi'), 'table').map((element) => file(element, textOf(element))),
    ...childrenOf(devices).flatMap((device) => [
      thingOf(device, system),
      file(device, attributeOf(find(device, 'rom'), 'file')),
      file(device, attributeOf(find(device, 'binary'), 'path')),
      file(device, attributeOf(find(device, 'gl'), 'rendernode')),
    ]),
  ];
  return things
    .filter((thing) => thing !== null)
    .filter(({ isHere }) => !isHere)
    .map(
      ({ element, what }) =>
        new Failure(
          'hypervisor-missing',
          placed`The definition of ${name} names ${what}, which is not ${here} (${placeOf(element)}).`,
          { advice: `Provide it, or take it out of the definition with \`virsh edit ${name}\`.` },
        ),
    );
}

function thingOf(device: Element, system: string): NamedThing | null {
  const source = find(device, 'source');
  const type = attributeOf(device, 'type');
  switch (device.nodeName) {
    case 'filesystem':
      return file(
        device,
        ['dir', 'file', 'dev', 'socket']
          .map((name) => attributeOf(source, name))
          .find((path) => path !== undefined),
      );
    case 'memory':
      return file(device, textOf(find(source, 'path')));
    case 'shmem':
      return file(device, attributeOf(find(device, 'server'), 'path'));
    case 'rng': {
      const backend = find(device, 'backend');
      return attributeOf(backend, 'model') === 'random' ? file(device, textOf(backend)) : null;
    }
    case 'tpm': {
      const backend = find(device, 'backend');
      return file(device, attributeOf(find(backend, 'device'), 'path'));
    }
    case 'input':
      return type === 'evdev' ? file(device, attributeOf(source, 'dev')) : null;
    case 'serial':
    case 'parallel':
    case 'console':
    case 'channel':
    case 'redirdev':
      return characterDevice(device, type, source);
    case 'interface':
      return networkInterface(device, type, system);
    case 'hostdev':
      return attributeOf(source, 'startupPolicy') === 'optional' ? null : passedThrough(device, type, system);
    default:
      return null;
  }
}

/** A file of which it only matters that it is there; null without a path. */
function file(element: Element, path: string | undefined): NamedThing | null {
  if (path?.startsWith('/') !== true) return null;
  return { element, what: path, isHere: existsSync(path) };
}

function characterDevice(
  element: Element,
  type: string | undefined,
  source: Element | undefined,
): NamedThing | null {
  const path = attributeOf(source, 'path');
  if (path === undefined) return null;
  // Another program has to listen there.
  if (type === 'unix' && attributeOf(source, 'mode') === 'connect') return file(element, path);
  // QEMU takes the two ends of a pipe, or one file.
  if (type === 'pipe') return file(element, existsSync(`${path}.in`) ? `${path}.in` : path);
  if (type === 'dev') return file(element, path);
  // QEMU makes the file, in a directory that is there.
  return type === 'file' ? file(element, dirname(path)) : null;
}

function networkInterface(element: Element, type: string | undefined, system: string): NamedThing | null {
  const target = find(element, 'target');
  // libvirt makes a tap device itself, unless it is told that somebody else has.
  const isMade = attributeOf(target, 'managed') !== 'no';
  if (type === 'hostdev') return passedThrough(element, 'pci', system);
  const source = find(element, 'source');
  if (type === 'vhostuser')
    return attributeOf(source, 'mode') === 'client' ? file(element, attributeOf(source, 'path')) : null;
  const device =
    type === 'direct'
      ? attributeOf(source, 'dev')
      : type === 'ethernet' && !isMade
        ? attributeOf(target, 'dev')
        : undefined;
  if (device === undefined || device.includes('/')) return null;
  return {
    element,
    what: `the network device ${device}`,
    isHere: existsSync(join(system, 'class/net', device)),
  };
}

function passedThrough(element: Element, type: string | undefined, system: string): NamedThing | null {
  const source = find(element, 'source');
  const address = find(source, 'address');
  const part = (name: string, digits: number): string =>
    Number(attributeOf(address, name) ?? 0)
      .toString(16)
      .padStart(digits, '0');
  if (type === 'pci') {
    const id = `${part('domain', 4)}:${part('bus', 2)}:${part('slot', 2)}.${part('function', 1)}`;
    return { element, what: `the device ${id}`, isHere: existsSync(join(system, 'bus/pci/devices', id)) };
  }
  if (type === 'mdev') {
    const id = attributeOf(address, 'uuid') ?? '';
    return { element, what: `the device ${id}`, isHere: existsSync(join(system, 'bus/mdev/devices', id)) };
  }
  if (type === 'scsi') {
    const adapter = attributeOf(find(source, 'adapter'), 'name') ?? '';
    const number = /^scsi_host(\d+)$/.exec(adapter)?.[1];
    if (number === undefined) return null;
    const at = ['bus', 'target', 'unit'].map((name) => Number(attributeOf(address, name) ?? 0));
    const id = [number, ...at].join(':');
    return {
      element,
      what: `the SCSI device ${id}`,
      isHere: existsSync(join(system, 'bus/scsi/devices', id)),
    };
  }
  const vendor = numberOf(find(source, 'vendor'));
  const product = numberOf(find(source, 'product'));
  if (type !== 'usb' || vendor === null || product === null) return null;
  return {
    element,
    what: `the USB device ${vendor}:${product}`,
    isHere: usbDevices(join(system, 'bus/usb/devices')).includes(`${vendor}:${product}`),
  };
}

/** `id="0x1234"` as the kernel writes it: `1234`. */
function numberOf(element: Element | undefined): string | null {
  return /^0x([0-9a-f]{4})$/i.exec(attributeOf(element, 'id') ?? '')?.[1]?.toLowerCase() ?? null;
}

function usbDevices(directory: string): string[] {
  const read = (device: string, name: string): string => {
    try {
      return readFileSync(join(directory, device, name), 'latin1').trim();
    } catch {
      // It is a part of a device, or was just unplugged.
      return '';
    }
  };
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.map((device) => `${read(device, 'idVendor')}:${read(device, 'idProduct')}`);
}

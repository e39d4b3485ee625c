import type { Element } from '@xmldom/xmldom';
import { Failure } from '../../../../failure.ts';
import { shellLine } from '../../../../quote-for-shell.ts';
import {
  qemuFormats,
  type CacheMode,
  type DiskBus,
  type DiskDefinition,
  type RemovableDrive,
} from '../../../definition.ts';
import { all, attributeOf, find, placeOf, textOf } from '../xml/elements.ts';
import { absolute } from './read-boot.ts';

/** The path of a volume in a storage pool; undefined when it is not known. */
export type VolumePath = (pool: string, volume: string) => string | undefined;

export interface ReadDisks {
  disks: readonly DiskDefinition[];
  drives: readonly RemovableDrive[];
  problems: readonly Failure[];
}

const buses: readonly DiskBus[] = ['ide', 'sata', 'scsi', 'virtio', 'xen', 'usb', 'sd', 'fdc'];
const caches: readonly CacheMode[] = ['none', 'writeback', 'writethrough', 'directsync', 'unsafe'];

export function readDisks(root: Element, guest: string, volumePath: VolumePath): ReadDisks {
  const disks: DiskDefinition[] = [];
  const drives: RemovableDrive[] = [];
  const problems: Failure[] = [];
  for (const element of all(find(root, 'devices'), 'disk')) {
    const kind = attributeOf(element, 'device') ?? 'disk';
    const device = attributeOf(find(element, 'target'), 'dev') ?? '';
    const path = sourcePath(element, volumePath);
    if (!/^[A-Za-z0-9]{1,32}$/.test(device)) problems.push(notMoved(element, guest, 'it has no plain name'));
    else if (kind === 'cdrom' || kind === 'floppy')
      drives.push({ device, kind, ...busOf(element), path: path ?? null });
    else if (path === undefined) problems.push(notMoved(element, guest, whyNoPath(element)));
    else {
      const problem = whyNotRead(element);
      if (find(element, 'mirror') !== undefined) problems.push(mirrored(guest, device));
      else if (problem !== undefined) problems.push(notMoved(element, guest, problem));
      else disks.push(readDisk(element, device, path));
    }
  }
  return { disks, drives, problems };
}

function readDisk(element: Element, device: string, path: string): DiskDefinition {
  const driver = find(element, 'driver');
  const serial = textOf(find(element, 'serial'));
  const format = qemuFormats.find((one) => one === attributeOf(driver, 'type') && one !== 'raw');
  const cache = caches.find((one) => one === attributeOf(driver, 'cache'));
  return {
    device,
    path,
    readOnly: find(element, 'readonly') !== undefined,
    ...(isSerial(serial) ? { serial } : {}),
    ...(format === undefined ? {} : { format }),
    ...busOf(element),
    ...(cache === undefined ? {} : { cache }),
  };
}

/** As guest/definition.ts demands; any other serial is told of as beyond the definition. */
export function isSerial(serial: string | undefined): serial is string {
  return serial !== undefined && /^[^\p{C}\s,:]{1,64}$/u.test(serial);
}

function busOf(element: Element): { bus?: DiskBus } {
  const bus = buses.find((one) => one === attributeOf(find(element, 'target'), 'bus'));
  return bus === undefined ? {} : { bus };
}

/** The image's path on this machine; undefined where the medium is not a file or a device of it. */
function sourcePath(element: Element, volumePath: VolumePath): string | undefined {
  const source = find(element, 'source');
  const [pool, volume] = [attributeOf(source, 'pool'), attributeOf(source, 'volume')];
  switch (attributeOf(element, 'type') ?? 'file') {
    case 'file':
      return absolute(attributeOf(source, 'file'));
    case 'block':
      return absolute(attributeOf(source, 'dev'));
    case 'volume':
      return pool === undefined || volume === undefined ? undefined : absolute(volumePath(pool, volume));
    default:
      return undefined;
  }
}

function whyNoPath(element: Element): string {
  const type = attributeOf(element, 'type') ?? 'file';
  const source = find(element, 'source');
  switch (type) {
    case 'network':
      return `it is reached over the network (${attributeOf(source, 'protocol') ?? 'unknown'})`;
    case 'volume':
      return `its volume ${attributeOf(source, 'volume') ?? ''} was not found in the pool ${attributeOf(source, 'pool') ?? ''}`;
    case 'dir':
      return 'it is a directory that QEMU shows as a disk';
    case 'file':
    case 'block':
      return 'it has no medium with an absolute path';
    default:
      return `it is of type ${type}`;
  }
}

/** Why vmferry cannot read the disk though it has a path. */
function whyNotRead(element: Element): string | undefined {
  const format = attributeOf(find(element, 'driver'), 'type');
  if (format !== undefined && !qemuFormats.some((one) => one === format))
    return `vmferry does not know its format ${format}`;
  if (find(element, 'encryption') !== undefined || find(element, 'source', 'encryption') !== undefined)
    return 'it is encrypted';
  if (find(element, 'transient') !== undefined) return 'it is transient: its changes end with the guest';
  if (find(element, 'source', 'slices') !== undefined) return 'it is a part of an image';
  return undefined;
}

/** By `virsh blockcommit --active` or `virsh blockcopy`: the other image may take its place at any moment. */
function mirrored(guest: string, device: string): Failure {
  return new Failure(
    'guest-unsupported',
    `A block job copies the disk ${device} of ${guest} to another image.`,
    {
      advice: `Wait until it has ended, or end it: ${shellLine(['virsh', 'blockjob', guest, device, '--info'])}`,
    },
  );
}

function notMoved(element: Element, guest: string, reason: string): Failure {
  const device = attributeOf(find(element, 'target'), 'dev');
  const disk = device === undefined ? 'A disk' : `The disk ${device}`;
  return new Failure(
    'guest-unsupported',
    `${disk} of ${guest} cannot be moved: ${reason} (${placeOf(element)}).`,
    { advice: 'Copy it to an image file of its own, and give the guest that instead.' },
  );
}

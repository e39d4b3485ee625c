import type { Element } from '@xmldom/xmldom';
import { Failure } from '../../../../failure.ts';
import type { DiskDefinition, RemovableDrive } from '../../../definition.ts';
import { find } from '../xml/elements.ts';
import { append, ensure, insertAfter, remove, setAttributes, setChildText } from '../xml/edit.ts';

/** Adds a disk to `<devices>`, behind the disks that are there. */
export function addDisk(devices: Element, disk: DiskDefinition): void {
  const element = addElement(devices);
  setAttributes(element, { type: sourceType(disk.path), device: 'disk' });
  append(element, 'driver', { name: 'qemu', type: formatOf(disk), cache: disk.cache });
  append(element, 'source', sourceOf(disk.path));
  append(element, 'target', { dev: disk.device, bus: disk.bus });
  setFlags(element, disk);
}

/** Makes the element say what the definition says; what else it says stays. */
export function updateDisk(element: Element, before: DiskDefinition, after: DiskDefinition): void {
  if (before.path !== after.path) setSource(element, after.path);
  if (before.path !== after.path || before.format !== after.format) {
    // It named the images below the old one.
    const backingStore = find(element, 'backingStore');
    if (backingStore !== undefined) remove(backingStore);
  }
  if (before.format !== after.format || before.cache !== after.cache) {
    const driver = find(element, 'driver') ?? append(element, 'driver', { name: 'qemu' });
    setAttributes(driver, { type: formatOf(after), cache: after.cache });
  }
  if (before.bus !== after.bus) setBus(element, after);
  setFlags(element, after);
}

export function addDrive(devices: Element, drive: RemovableDrive): void {
  const element = addElement(devices);
  setAttributes(element, { type: drive.path === null ? 'file' : sourceType(drive.path), device: drive.kind });
  append(element, 'driver', { name: 'qemu', type: 'raw' });
  if (drive.path !== null) append(element, 'source', sourceOf(drive.path));
  append(element, 'target', { dev: drive.device, bus: drive.bus });
  if (drive.kind === 'cdrom') append(element, 'readonly');
}

export function updateDrive(element: Element, before: RemovableDrive, after: RemovableDrive): void {
  if (before.path !== after.path) setSource(element, after.path);
  if (before.bus !== after.bus) setBus(element, after);
}

/** By libvirt's names, which are QEMU's. */
function formatOf({ device, format }: DiskDefinition): string {
  if (format === 'vhdx')
    throw new Failure(
      'guest-unsupported',
      `libvirt has no guests with VHDX images, as the disk ${device} is.`,
      {
        advice: 'Have it written in another format: --format qcow2.',
      },
    );
  return format ?? 'raw';
}

function addElement(devices: Element): Element {
  const last = [...devices.getElementsByTagName('disk')].at(-1);
  return last === undefined ? append(devices, 'disk') : insertAfter(last, 'disk');
}

function setSource(element: Element, path: string | null): void {
  const source = find(element, 'source');
  if (source !== undefined) remove(source);
  setAttributes(element, { type: path === null ? 'file' : sourceType(path) });
  if (path === null) return;
  const driver = find(element, 'driver');
  if (driver === undefined) append(element, 'source', sourceOf(path));
  else insertAfter(driver, 'source', sourceOf(path));
}

/** libvirt puts the disk onto the new bus at a new address. */
function setBus(element: Element, { device, bus }: { device: string; bus?: string }): void {
  setAttributes(ensure(element, 'target'), { dev: device, bus });
  const address = find(element, 'address');
  if (address !== undefined) remove(address);
}

function setFlags(element: Element, disk: DiskDefinition): void {
  const readOnly = find(element, 'readonly');
  if (disk.readOnly && readOnly === undefined) append(element, 'readonly');
  else if (!disk.readOnly && readOnly !== undefined) remove(readOnly);
  if (disk.serial !== undefined) setChildText(element, 'serial', disk.serial);
}

/** Devices are under /dev, and images are files. libvirt refuses a file as a block device, and QEMU warns of the reverse. */
function sourceType(path: string): 'file' | 'block' {
  return isDevice(path) ? 'block' : 'file';
}

function sourceOf(path: string): { file?: string; dev?: string } {
  return isDevice(path) ? { dev: path } : { file: path };
}

function isDevice(path: string): boolean {
  return path.startsWith('/dev/') && !path.startsWith('/dev/shm/');
}

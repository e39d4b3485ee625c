import type { DiskBus } from '../../../definition.ts';
import { backendOfNode, readDrive, readNodes, readPlainFile, type Backend } from './backends.ts';
import { refused } from './option-list.ts';
import { readFlash } from './flash.ts';
import type { Reading, ValuePlace } from './reading.ts';
import { parseSettings, type Settings } from './settings.ts';
import { nameSlots, toDisk, toDrive, type FoundDisk, type FoundDrive, type Slot } from './slots.ts';

export interface FoundStorage {
  disks: FoundDisk[];
  drives: FoundDrive[];
  /** Path of the UEFI firmware's code; null if no flash memory with code was given. */
  firmwareCode: { path: string; place: ValuePlace } | null;
}

export interface StorageDefaults {
  /** The bus of a `-drive` that names none. */
  bus: DiskBus;
  /** The bus of `if=ide`: `sata` on machines that have AHCI instead. */
  ide: DiskBus;
}

const diskDevices =
  /^(?:virtio-blk(?:-pci|-device|-ccw)?(?:-(?:non-)?transitional)?|(?:scsi|ide)-(?:hd|cd|disk|drive)|usb-storage|floppy|nvme|sd-card)$/;
/** What the bus of a `-device` is called, by the beginning of its driver's name. */
const busOfDevice: readonly [RegExp, DiskBus | null][] = [
  [/^virtio-blk/, 'virtio'],
  [/^scsi-/, 'scsi'],
  [/^usb-/, 'usb'],
  [/^sd-/, 'sd'],
  [/^floppy/, 'fdc'],
  [/^nvme/, null],
];

export function isDiskDevice(driver: string): boolean {
  return diskDevices.test(driver);
}

/** Settings of a disk's device that do not change what the guest sees on its disk. */
const plainDeviceKeys =
  /^(?:driver|drive|id|bus|addr|bootindex|serial|write-cache|lun|scsi-id|channel|unit|num-queues|iothread|share-rw|werror|rerror|device_id|driveA|driveB|config-wce|multifunction|disable-legacy|disable-modern|iommu_platform|ats|removable|acpi-index|queue-size|event_idx|ioeventfd|scsi|discard_granularity)$/;

/** All disks and drives of the command line, named as Linux names them. */
export function readStorage(reading: Reading, defaults: StorageDefaults): FoundStorage {
  const flash: Backend[] = [];
  const slots: Slot[] = [];
  const unattached = new Map<string, Backend>();
  readDriveOptions(reading, defaults, { flash, slots, unattached });
  slots.push(...readDeviceOptions(reading, defaults, unattached));
  refuseUnusedNodes(reading);
  for (const backend of unattached.values())
    reading.noteProblem(refused(backend.option, 'no device of the guest uses this disk'));
  const { code, variables } = readFlash(reading, flash);
  const named = nameSlots(slots);
  return {
    disks: [...named.filter(({ slot }) => slot.kind === 'disk').flatMap(toDisk), ...variables],
    drives: named.filter(({ slot }) => slot.kind !== 'disk').map(toDrive),
    firmwareCode: code,
  };
}

interface Found {
  flash: Backend[];
  slots: Slot[];
  /** By the id of the drive. */
  unattached: Map<string, Backend>;
}

function readDriveOptions(
  reading: Reading,
  defaults: StorageDefaults,
  { flash, slots, unattached }: Found,
): void {
  let ideIndex = 0;
  const attach = (bus: DiskBus, backend: Backend, settings: Settings): void => {
    const index = indexOf(settings) ?? ideIndex;
    if (bus === 'ide' || bus === 'sata') ideIndex = index + 1;
    const kind = bus === 'fdc' ? 'floppy' : backend.isCdrom ? 'cdrom' : 'disk';
    // Devices of -device get their places on a bus before those that -drive brings along.
    slots.push({ kind, bus, backend, serial: backend.serial, position: 1000 + index });
  };
  for (const option of reading.options) {
    const [, letter] = /^(?:hd|fd)([a-d])$/.exec(option.name) ?? [];
    const plain = letter !== undefined || ['cdrom', 'sd', 'pflash', 'mtdblock'].includes(option.name);
    const backend = plain
      ? readPlainFile(option, reading)
      : option.name === 'drive'
        ? readDrive(option, reading)
        : null;
    if (backend === null) continue;
    const settings: Settings = plain ? new Map() : parseSettings(option.value);
    const kind = plain ? kindOfPlain(option.name) : (settings.get('if') ?? 'default');
    const index =
      letter === undefined ? (option.name === 'cdrom' ? '2' : null) : String('abcd'.indexOf(letter));
    const placed: Settings = index === null ? settings : new Map([['index', index]]);
    switch (kind) {
      case 'none':
        unattached.set(settings.get('id') ?? `drive ${option.place}`, backend);
        break;
      case 'pflash':
        flash[indexOf(settings) ?? flash.length] = backend;
        break;
      case 'default':
        attach(defaults.bus, backend, placed);
        break;
      case 'ide':
        attach(defaults.ide, backend, placed);
        break;
      case 'floppy':
        attach('fdc', backend, placed);
        break;
      case 'virtio':
      case 'scsi':
      case 'sd':
        attach(kind, backend, placed);
        break;
      default:
        reading.noteProblem(refused(option, `vmferry does not know if=${kind}`));
    }
  }
}

function kindOfPlain(name: string): string {
  if (name.startsWith('fd')) return 'floppy';
  if (name === 'sd' || name === 'pflash') return name;
  return name === 'mtdblock' ? 'mtd' : 'ide';
}

/** -drive counts all places of a bus, and those on the later buses: two units on each IDE bus. */
function indexOf(settings: Settings): number | null {
  const index = Number(settings.get('index') ?? NaN);
  if (Number.isInteger(index)) return index;
  if (!settings.has('bus') && !settings.has('unit')) return null;
  return Number(settings.get('bus') ?? 0) * 2 + Number(settings.get('unit') ?? 0);
}

function readDeviceOptions(
  reading: Reading,
  defaults: StorageDefaults,
  unattached: Map<string, Backend>,
): Slot[] {
  const nodes = readNodes(reading);
  const slots: Slot[] = [];
  const ahci = new Set(
    reading.all('device').flatMap(({ value }) => {
      const settings = parseSettings(value, 'driver');
      return /ahci/.test(settings.get('driver') ?? '') ? [settings.get('id') ?? ''] : [];
    }),
  );
  for (const option of reading.all('device')) {
    const settings = parseSettings(option.value, 'driver');
    const driver = settings.get('driver') ?? '';
    if (!isDiskDevice(driver)) continue;
    const drive = settings.get('drive') ?? '';
    const node = nodes.get(drive);
    const backend =
      unattached.get(drive) ??
      (node === undefined ? null : backendOfNode(node, nodes, reading, settings.get('write-cache')));
    unattached.delete(drive);
    if (node === undefined && backend === null && drive !== '' && !isRefusedDrive(reading, drive))
      reading.noteProblem(refused(option, `there is no drive ${drive}`));
    const unknown = [...settings.keys()].filter((key) => !plainDeviceKeys.test(key));
    if (unknown.length > 0) reading.noteBeyond(option, unknown.join(', '));
    if (driver === 'nvme') reading.noteBeyond(option, 'NVMe');
    const onAhci = ahci.has((settings.get('bus') ?? '').replace(/\.\d+$/, ''));
    slots.push(slotOf(settings, backend, onAhci ? 'sata' : defaults.ide, slots.length));
  }
  return slots;
}

/** QEMU opens their files, too. */
function refuseUnusedNodes(reading: Reading): void {
  const nodes = readNodes(reading);
  const users = [
    ...[...nodes.values()].map(({ settings }) => settings),
    ...reading.all('device').map(({ value }) => parseSettings(value, 'driver')),
    ...reading.all('machine', 'M').map(({ value }) => parseSettings(value, 'type')),
  ];
  const used = new Set(
    users.flatMap((settings) =>
      [...settings].filter(([key]) => key !== 'node-name').map(([, value]) => value),
    ),
  );
  for (const [name, { option }] of nodes)
    if (!used.has(name)) reading.noteProblem(refused(option, 'no device of the guest uses this disk'));
}

/** Whether the drive is on the command line, and a problem with it was noted. */
function isRefusedDrive(reading: Reading, id: string): boolean {
  return reading.all('drive').some(({ value }) => parseSettings(value).get('id') === id);
}

function slotOf(settings: Settings, backend: Backend | null, ide: DiskBus, order: number): Slot {
  const driver = settings.get('driver') ?? '';
  const found = busOfDevice.find(([pattern]) => pattern.test(driver));
  const isCdrom = driver.endsWith('-cd') || (/-drive$|-disk$/.test(driver) && backend?.isCdrom === true);
  return {
    kind: driver === 'floppy' ? 'floppy' : isCdrom ? 'cdrom' : 'disk',
    bus: found === undefined ? ide : found[1],
    backend,
    serial: settings.get('serial') ?? backend?.serial ?? null,
    position: placeOnBus(settings) ?? order,
  };
}

/** `bus=ide.1,unit=0` and `bus=ahci0.2`. */
function placeOnBus(settings: Settings): number | null {
  if (!(settings.get('driver') ?? '').startsWith('ide-')) return null;
  const [, bus] = /\.(\d+)$/.exec(settings.get('bus') ?? '') ?? [];
  return bus === undefined ? null : Number(bus) * 2 + Number(settings.get('unit') ?? 0);
}

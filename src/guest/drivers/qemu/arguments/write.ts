import { Failure } from '../../../../failure.ts';
import type {
  DiskBus,
  DiskDefinition,
  GuestDefinition,
  NetworkCard,
  RemovableDrive,
} from '../../../definition.ts';
import { formatSetting, formatSettings, formatSize } from './settings.ts';

/**
 * The arguments of QEMU, without the program, that start the guest, from the neutral fields alone. Its first serial port is
 * standard output. How the processor is emulated is not among them: that is the machine's. Throws Failure
 * `guest-unsupported` for what QEMU does not have.
 */
export function qemuArguments(definition: GuestDefinition): string[] {
  const { name, memoryBytes, cpuCount, machineType, cpuModel, uuid, clock, console } = definition;
  const isMicro = machineType === 'microvm';
  return [
    '-name',
    formatSetting('guest', name),
    ...given('-machine', machineType),
    ...given('-cpu', cpuModel),
    ...given('-m', memoryBytes === null ? undefined : formatSize(memoryBytes)),
    ...given('-smp', cpuCount === null ? undefined : String(cpuCount)),
    ...given('-uuid', uuid),
    ...given('-rtc', clock === undefined ? undefined : `base=${clock}`),
    '-nodefaults',
    '-display',
    'none',
    '-monitor',
    'none',
    ...consoleArguments(console, isMicro),
    ...bootArguments(definition),
    ...diskArguments(definition, isMicro),
    ...(definition.networkCards ?? []).flatMap((card, index) => cardArguments(card, index, name, isMicro)),
  ];
}

function given(option: string, value: string | undefined): string[] {
  return value === undefined ? [] : [option, value];
}

function consoleArguments(console: GuestDefinition['console'], isMicro: boolean): string[] {
  // A guest without a known console gets both: a screen that nobody sees costs little.
  const screen = isMicro || console === 'ttyS0' || console === 'hvc0' ? [] : ['-vga', 'std'];
  if (console !== 'hvc0') return [...screen, '-serial', 'stdio'];
  const controller = isMicro ? 'virtio-serial-device' : 'virtio-serial-pci';
  return [
    '-device',
    controller,
    '-chardev',
    'stdio,id=console',
    '-device',
    'virtconsole,chardev=console',
    ...screen,
  ];
}

function bootArguments({ boot, kernel, initrd, commandLine, firmware, name }: GuestDefinition): string[] {
  if (boot === 'boot-loader')
    throw cannot(name, 'a boot menu on the disk that the hypervisor reads', 'Give it a kernel, or firmware.');
  const code =
    firmware?.kind === 'uefi' && firmware.code !== null
      ? ['-drive', formatSettings([...flash(0), ['readonly', 'on'], ['file', firmware.code]])]
      : [];
  if (boot === 'firmware') return code;
  const words = commandLine.join(' ');
  return [
    ...code,
    ...given('-kernel', kernel ?? undefined),
    ...given('-initrd', initrd ?? undefined),
    // QEMU refuses a command line for a kernel that is not there.
    ...given('-append', words === '' || kernel === null ? undefined : words),
  ];
}

function flash(unit: number): [string, string][] {
  return [
    ['if', 'pflash'],
    ['unit', String(unit)],
    ['format', 'raw'],
  ];
}

/** Controllers that are needed but not on the machine, each by its bus. */
function diskArguments(
  { name, disks, drives = [], machineType }: GuestDefinition,
  isMicro: boolean,
): string[] {
  const buses = new Set([...disks, ...drives].map(({ bus }) => bus));
  const isQ35 = /q35/.test(machineType ?? '');
  if (isQ35 && buses.has('ide'))
    throw cannot(
      name,
      `an IDE disk on the machine ${machineType}`,
      'Give it the machine `pc`, or its disks the bus `sata`.',
    );
  const controllers = [
    ...(buses.has('scsi') ? ['-device', `virtio-scsi-${isMicro ? 'device' : 'pci'},id=scsi0`] : []),
    ...(buses.has('sata') && !isQ35 ? ['-device', 'ahci,id=sata0'] : []),
    ...(buses.has('usb') ? ['-device', 'qemu-xhci,id=usb0'] : []),
  ];
  const slots = new Slots(isQ35);
  return [
    ...controllers,
    ...disks.flatMap((disk) =>
      disk.purpose === 'uefi-variables' ? variablesArguments(disk) : oneDisk(disk, slots, isMicro),
    ),
    ...drives.flatMap((drive) => oneDrive(drive, slots)),
  ];
}

function variablesArguments({ path, format, readOnly }: DiskDefinition): string[] {
  const settings = new Map(flash(1)).set('format', format ?? 'raw');
  if (readOnly) settings.set('readonly', 'on');
  return ['-drive', formatSettings(settings.set('file', path))];
}

/** The next free places on the buses whose places QEMU does not choose by itself. */
class Slots {
  readonly #isQ35: boolean;
  #ide = 0;
  #sata = 0;

  constructor(isQ35: boolean) {
    this.#isQ35 = isQ35;
  }

  next(bus: DiskBus | undefined): [string, string][] {
    if (bus === 'sata') return [['bus', `${this.#isQ35 ? 'ide' : 'sata0'}.${this.#sata++}`]];
    if (bus === 'ide') {
      const place = this.#ide++;
      return [
        ['bus', `ide.${Math.floor(place / 2)}`],
        ['unit', String(place % 2)],
      ];
    }
    return bus === 'scsi' ? [['bus', 'scsi0.0']] : [];
  }
}

function oneDisk(disk: DiskDefinition, slots: Slots, isMicro: boolean): string[] {
  const { device, path, format, readOnly, serial, bus, cache } = disk;
  if (bus === 'fdc' || bus === 'sd')
    return ['-drive', formatSettings([['if', bus === 'sd' ? 'sd' : 'floppy'], ...driveSettings(disk)])];
  const driver = diskDriver(bus, device, isMicro);
  const settings: [string, string][] = [
    ['driver', driver],
    ['drive', `drive-${device}`],
    ['id', device],
    ...slots.next(busOf(bus, device)),
    ...(serial === undefined ? [] : ([['serial', serial]] as [string, string][])),
  ];
  const drive = formatSettings([
    ['if', 'none'],
    ['id', `drive-${device}`],
    ...driveSettings({ path, readOnly, ...(format && { format }), ...(cache && { cache }) }),
  ]);
  return ['-drive', drive, '-device', withoutFirstKey(formatSettings(settings))];
}

function driveSettings({
  path,
  format,
  readOnly,
  cache,
}: Pick<DiskDefinition, 'path' | 'format' | 'readOnly' | 'cache'>): [string, string][] {
  return [
    ['format', format ?? 'raw'],
    ...(readOnly ? ([['readonly', 'on']] as [string, string][]) : []),
    ...(cache === undefined ? [] : ([['cache', cache]] as [string, string][])),
    ['file', path],
  ];
}

/** A bus that is not given follows from the disk's name. */
function busOf(bus: DiskBus | undefined, device: string): DiskBus {
  if (bus !== undefined && bus !== 'xen') return bus;
  return /^hd|^sd/.test(device) ? 'ide' : 'virtio';
}

function diskDriver(bus: DiskBus | undefined, device: string, isMicro: boolean): string {
  switch (busOf(bus, device)) {
    case 'ide':
    case 'sata':
      return 'ide-hd';
    case 'scsi':
      return 'scsi-hd';
    case 'usb':
      return 'usb-storage';
    default:
      return isMicro ? 'virtio-blk-device' : 'virtio-blk-pci';
  }
}

/** `driver=x,…` as everybody writes it: `x,…`. */
function withoutFirstKey(text: string): string {
  return text.replace(/^[a-z]+=/, '');
}

function oneDrive({ device, kind, bus, path }: RemovableDrive, slots: Slots): string[] {
  const file: [string, string][] =
    path === null
      ? []
      : [
          ['format', 'raw'],
          ['readonly', 'on'],
          ['file', path],
        ];
  if (kind === 'floppy') return ['-drive', formatSettings([['if', 'floppy'], ...file])];
  const driver = bus === 'scsi' ? 'scsi-cd' : 'ide-cd';
  const place = slots.next(bus === 'scsi' || bus === 'sata' ? bus : 'ide');
  const media: [string, string][] = [['if', 'none'], ['id', `drive-${device}`], ['media', 'cdrom'], ...file];
  const settings: [string, string][] = [
    ['driver', driver],
    ['drive', `drive-${device}`],
    ['id', device],
    ...place,
  ];
  return ['-drive', formatSettings(media), '-device', withoutFirstKey(formatSettings(settings))];
}

function cardArguments(card: NetworkCard, index: number, name: string, isMicro: boolean): string[] {
  const model = card.model ?? 'virtio-net-pci';
  // Cards of Xen are attached to a network in the same way.
  const driver =
    model === 'vif' || (isMicro && model === 'virtio-net-pci')
      ? isMicro
        ? 'virtio-net-device'
        : 'virtio-net-pci'
      : model;
  const settings: [string, string][] = [
    ['driver', driver],
    ['netdev', `net${index}`],
    ...(card.mac === undefined ? [] : ([['mac', card.mac]] as [string, string][])),
  ];
  return [
    '-netdev',
    attachmentText(card.attachedTo, [['id', `net${index}`]], name),
    '-device',
    withoutFirstKey(formatSettings(settings)),
  ];
}

/** The value of `-netdev`, and of `-nic` and `-net` with other settings. */
export function attachmentText(
  attachedTo: NetworkCard['attachedTo'],
  settings: readonly [string, string][],
  name: string,
): string {
  switch (attachedTo.kind) {
    case 'user':
      return withoutFirstKey(formatSettings([['type', 'user'], ...settings]));
    case 'bridge':
      return withoutFirstKey(formatSettings([['type', 'bridge'], ...settings, ['br', attachedTo.name]]));
    case 'tap':
      return withoutFirstKey(
        formatSettings([
          ['type', 'tap'],
          ...settings,
          ['ifname', attachedTo.name],
          ['script', 'no'],
          ['downscript', 'no'],
        ]),
      );
    case 'network':
    case 'other':
      throw cannot(
        name,
        attachedTo.kind === 'network'
          ? `libvirt’s network ${attachedTo.name}`
          : 'a network that only its hypervisor knows',
        'Say which bridge of this machine its card is attached to.',
      );
  }
}

function cannot(name: string, what: string, advice: string): Failure {
  return new Failure('guest-unsupported', `QEMU cannot start ${name} with ${what}.`, { advice });
}

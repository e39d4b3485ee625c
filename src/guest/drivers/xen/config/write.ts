import type {
  DiskDefinition,
  GuestDefinition,
  ImageFormatName,
  NetworkCard,
  RemovableDrive,
} from '../../../definition.ts';
import { formatDiskSpec, type DiskFormat } from './disk-spec.ts';
import { quoteForXl } from './scan.ts';

const MEBIBYTE = 2 ** 20;

const formatNames: Readonly<Partial<Record<ImageFormatName, DiskFormat>>> = {
  raw: 'raw',
  qcow2: 'qcow2',
  vpc: 'vhd',
};

/** A whole configuration for xl, for a guest that has none: xl.cfg(5). What xl cannot express is in `inexpressible`. */
export function writeXenConfig(definition: GuestDefinition): string {
  const lines = [
    '# Written by vmferry. xl.cfg(5) explains the settings.',
    ...Object.entries(xenSettings(definition)).flatMap(([key, value]) =>
      value === null ? [] : [`${key} = ${value}`],
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** The settings as they stand in the file, by key; null for one that is not there. */
export function xenSettings(definition: GuestDefinition): Record<string, string | null> {
  const { memoryBytes, cpuCount, networkCards = [] } = definition;
  const disks = [...definition.disks.map(diskText), ...(definition.drives ?? []).map(driveText)];
  return {
    name: quoteForXl(definition.name),
    uuid: definition.uuid === undefined ? null : quoteForXl(definition.uuid),
    memory: memoryBytes === null ? null : String(Math.ceil(memoryBytes / MEBIBYTE)),
    vcpus: cpuCount === null ? null : String(cpuCount),
    ...bootSettings(definition),
    disk: listText(disks),
    vif: networkCards.length === 0 ? null : listText(networkCards.map(cardText)),
    localtime: definition.clock === undefined ? null : definition.clock === 'localtime' ? '1' : '0',
  };
}

export function virtualizationOf({ virtualization, boot }: GuestDefinition): 'pv' | 'pvh' | 'hvm' {
  return virtualization ?? (boot === 'firmware' ? 'hvm' : 'pv');
}

export function bootSettings(definition: GuestDefinition): Record<string, string | null> {
  const { kernel, initrd, commandLine, boot = 'kernel', firmware } = definition;
  const type = virtualizationOf(definition);
  const isDirect = boot === 'kernel';
  const ttyS0 = type === 'hvm' && definition.console === 'ttyS0';
  return {
    type: quoteForXl(type),
    kernel: isDirect && kernel !== null ? quoteForXl(kernel) : null,
    ramdisk: isDirect && initrd !== null ? quoteForXl(initrd) : null,
    bootloader: boot === 'boot-loader' ? quoteForXl('pygrub') : null,
    firmware: boot === 'firmware' ? firmwareText(firmware) : null,
    cmdline: commandLine.length === 0 || boot === 'firmware' ? null : quoteForXl(commandLine.join(' ')),
    serial: ttyS0 ? quoteForXl('pty') : null,
  };
}

function firmwareText(firmware: GuestDefinition['firmware']): string {
  if (firmware?.kind !== 'uefi') return quoteForXl('bios');
  return quoteForXl(firmware.code ?? 'uefi');
}

export function listText(items: readonly string[]): string {
  if (items.length === 0) return '[]';
  return `[\n${items.map((item) => `    ${quoteForXl(item)},\n`).join('')}]`;
}

export function formatOf({ format }: DiskDefinition): DiskFormat {
  return formatNames[format ?? 'raw'] ?? 'raw';
}

export function diskText(disk: DiskDefinition): string {
  return formatDiskSpec({
    target: disk.path,
    format: formatOf(disk),
    vdev: disk.device,
    isCdrom: false,
    isReadOnly: disk.readOnly,
    others: [],
  });
}

export function driveText({ device, path }: RemovableDrive): string {
  return formatDiskSpec({
    target: path ?? '',
    format: path === null ? 'empty' : 'raw',
    vdev: device,
    isCdrom: true,
    isReadOnly: true,
    others: [],
  });
}

export function cardText({ mac, model, attachedTo }: NetworkCard): string {
  const isOwnModel = model !== undefined && model !== 'vif';
  return [
    ...(mac === undefined ? [] : [`mac=${mac}`]),
    ...(isOwnModel ? [`model=${model}`] : []),
    ...(attachedTo.kind === 'bridge' ? [`bridge=${attachedTo.name}`] : []),
  ].join(',');
}

/** What xl cannot express of the definition, as sentences. Empty for a definition that was read from xl's own text. */
export function inexpressible(definition: GuestDefinition): string[] {
  const { disks, networkCards = [], drives = [] } = definition;
  return [
    ...disks
      .filter(({ format }) => format !== undefined && formatNames[format] === undefined)
      .map(({ path, format }) => `xl does not know the format ${format} of ${path}.`),
    ...disks
      .filter(({ purpose }) => purpose !== undefined)
      .map(({ path }) => `xl has no disk for the variables of the firmware (${path}).`),
    ...[...disks, ...drives]
      .filter(({ path }) => path?.endsWith(',') === true)
      .map(({ path }) => `xl drops the comma at the end of the path ${path}.`),
    ...drives
      .filter(({ kind }) => kind === 'floppy')
      .map(({ device }) => `xl has no setting for the floppy drive ${device}.`),
    ...networkCards
      .filter(({ attachedTo: { kind } }) => kind !== 'bridge' && !(kind === 'other' && definition.native))
      .map(({ attachedTo: { kind } }) => `xl attaches network cards to bridges, not to: ${kind}.`),
  ];
}

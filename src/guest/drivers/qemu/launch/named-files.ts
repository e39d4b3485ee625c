import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { describeOption, readOptions, type QemuOption } from '../arguments/option-list.ts';
import { isJson, isOn, parseSettings, type Settings } from '../arguments/settings.ts';

/** Options whose whole value is a file that QEMU reads. Kernels, firmware and disks are looked for elsewhere. */
const readFiles = new Set(['dtb', 'bios']);
/** Options whose whole value is a file that QEMU makes, or a directory in which it makes one. */
const madeFiles = new Set(['pidfile', 'D', 'mem-path']);
const characterDevices = new Set([
  'qmp',
  'qmp-pretty',
  'monitor',
  'serial',
  'parallel',
  'debugcon',
  'gdb',
  'chardev',
]);

/**
 * The files and devices that the arguments name beside disks, kernel and firmware, and that are not here: QEMU would end when it starts. Of
 * a file that QEMU makes, the directory has to be here.
 * @param system where the kernel shows its devices (sysfs)
 */
export function missingFiles(args: readonly string[], system = '/sys'): Failure[] {
  const { options } = readOptions(args);
  const tpms = emulatedTpms(options);
  return options.flatMap((option) =>
    namedPaths(option, system)
      .filter((path) => path.startsWith('/') && !existsSync(path))
      .map(
        (path) =>
          new Failure(
            'hypervisor-missing',
            placed`${path} is not ${here}, and QEMU is given it (${describeOption(option)}).`,
            {
              advice: tpms.has(settingsOf(option).get('id') ?? '')
                ? 'Start swtpm there on this socket, with a copy of its state: what the guest has stored in its TPM, such as the keys of BitLocker, does not move with its disks.'
                : 'Provide it, or start the guest without it before the move.',
            },
          ),
      ),
  );
}

/** The ids of the character devices behind which a TPM is emulated. */
function emulatedTpms(options: readonly QemuOption[]): ReadonlySet<string> {
  const ids = options.map((option) =>
    option.name === 'tpmdev' ? settingsOf(option).get('chardev') : undefined,
  );
  return new Set(ids.filter((id) => id !== undefined));
}

/** What has to be here for this option. */
function namedPaths(option: QemuOption, system: string): string[] {
  const { name, value } = option;
  if (readFiles.has(name)) return [value];
  if (madeFiles.has(name)) return [dirname(value)];
  if (characterDevices.has(name)) return characterDevice(name, value);
  if (name === 'vnc') return /^unix:([^,]+)/.exec(value)?.slice(1).map(dirname) ?? [];
  const settings = settingsOf(option);
  const all = (...keys: readonly string[]): string[] => keys.flatMap((key) => settings.get(key) ?? []);
  switch (name) {
    case 'fsdev':
    case 'virtfs':
      return all('path', 'socket');
    case 'fw_cfg':
      return all('file');
    case 'smbios':
      return all('file', 'path');
    case 'acpitable':
      return all('file', 'data').flatMap((files) => files.split(':'));
    case 'tpmdev':
      return all('path', 'cancel-path');
    case 'netdev':
    case 'nic':
    case 'net':
      // A script that brings the device down is run when QEMU ends. Words may follow the helper's path.
      return [...all('script', 'vhostdev'), ...all('helper').map((words) => words.split(' ', 1)[0] ?? words)];
    case 'object':
      // QEMU makes the file of a dump, and one for memory, and no directory.
      return [
        ...(settings.get('qom-type') === 'filter-dump' ? all('file').map(dirname) : all('file')),
        ...all('filename', 'dir', 'evdev'),
        ...all('mem-path').map(dirname),
      ];
    case 'device':
      return [...all('romfile', 'sysfsdev'), ...passedThrough(settings, system), ...hostsOwn(settings)];
    case 'display':
      return all('rendernode');
    default:
      return [];
  }
}

function settingsOf({ name, value }: QemuOption): Settings {
  const implied: Readonly<Record<string, string>> = {
    fsdev: 'fsdriver',
    virtfs: 'fsdriver',
    object: 'qom-type',
    fw_cfg: 'name',
    device: 'driver',
  };
  try {
    return parseSettings(value, implied[name] ?? 'type');
  } catch (error) {
    // JSON that QEMU refuses, too, and says so better.
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}

/** `unix:PATH,server=on` and its like; `-chardev socket,path=PATH,server=on`. A client needs its server's socket. */
function characterDevice(option: string, value: string): string[] {
  if (option === 'chardev' && !isJson(value)) {
    const settings = parseSettings(value, 'backend');
    const logs = [settings.get('logfile') ?? []].flat().map(dirname);
    const path = settings.get('path');
    // A client that connects again and again starts without its server.
    const waits = Number(settings.get('reconnect') ?? 0) > 0;
    if (path === undefined || waits || isOn(settings.get('abstract'))) return logs;
    const isMade =
      settings.get('backend') === 'file' ||
      (settings.get('backend') === 'socket' && isOn(settings.get('server')));
    const isPipe = settings.get('backend') === 'pipe';
    return [...logs, isMade ? dirname(path) : isPipe && existsSync(`${path}.in`) ? `${path}.in` : path];
  }
  const [, kind, rest = ''] = /^(?:mon:)?(unix|file|pipe):(.*)$/s.exec(value) ?? [];
  if (kind === undefined) return value.startsWith('/dev/') ? [value] : [];
  const settings = parseSettings(rest, 'path');
  const path = settings.get('path') ?? '';
  if (kind === 'file' || isOn(settings.get('server'))) return [dirname(path)];
  return kind === 'pipe' && existsSync(`${path}.in`) ? [] : [path];
}

/** What the kernel of this machine has to offer to a device of the guest. */
function hostsOwn(settings: Settings): string[] {
  return settings.get('driver')?.startsWith('vhost-vsock') === true ? ['/dev/vhost-vsock'] : [];
}

/** `-device vfio-pci,host=03:00.0`: a device of this machine. */
function passedThrough(settings: Settings, system: string): string[] {
  const host = settings.get('host');
  if (settings.get('driver')?.startsWith('vfio-pci') !== true || host === undefined) return [];
  const id = /^[0-9a-f]{4,}:[0-9a-f]{2}:/i.test(host) ? host : `0000:${host}`;
  return [join(system, 'bus/pci/devices', id.toLowerCase())];
}

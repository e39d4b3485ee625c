import type { GuestDefinition } from '../../../definition.ts';
import type { StorageDefaults } from './disks.ts';
import type { NetworkDefaults } from './network.ts';
import { refused } from './option-list.ts';
import type { Reading } from './reading.ts';
import { parseSettings, parseSize } from './settings.ts';

export interface MachineReading extends Pick<
  GuestDefinition,
  'memoryBytes' | 'cpuCount' | 'kernel' | 'initrd' | 'commandLine'
> {
  /** Firmware that `-bios` names, if it is UEFI. */
  uefiCode: string | null;
  /** Fields that are left out when nothing was given. */
  optional: Pick<GuestDefinition, 'console' | 'clock' | 'machineType' | 'cpuModel' | 'uuid'>;
  storage: StorageDefaults;
  network: NetworkDefaults;
}

const plainName = /^[A-Za-z0-9][\w.+-]{0,127}$/;

/** Reads what is neither a disk nor a network card. */
export function readMachine(reading: Reading, program: string): MachineReading {
  const machineType = readMachineType(reading);
  const commandLine = splitCommandLine(reading.last('append')?.value ?? '');
  return {
    memoryBytes: readMemory(reading),
    cpuCount: readCpuCount(reading),
    kernel: pathOf(reading, 'kernel'),
    initrd: pathOf(reading, 'initrd'),
    commandLine,
    uefiCode: readBios(reading),
    optional: {
      ...readConsole(reading, commandLine),
      ...readClock(reading),
      ...(machineType === null ? {} : { machineType }),
      ...readCpuModel(reading),
      ...readUuid(reading),
    },
    ...defaultsOf(program, machineType),
  };
}

function defaultsOf(
  program: string,
  machineType: string | null,
): Pick<MachineReading, 'storage' | 'network'> {
  const isPc = /^(?:qemu|kvm|qemu-kvm|qemu-system-(?:x86_64|i386))$/.test(program);
  if (!isPc) return { storage: { bus: 'virtio', ide: 'ide' }, network: { model: 'virtio-net-pci' } };
  const hasAhci = /q35/.test(machineType ?? '');
  return hasAhci
    ? { storage: { bus: 'sata', ide: 'sata' }, network: { model: 'e1000e' } }
    : { storage: { bus: 'ide', ide: 'ide' }, network: { model: 'e1000' } };
}

/** Keys of -machine that say how QEMU works, and not what the guest sees. */
const plainMachineKeys =
  /^(?:type|accel|pflash[01]|usb|dump-guest-core|mem-merge|kernel_irqchip|kernel-irqchip|memory-backend|graphics|vmport)$/;

function readMachineType(reading: Reading): string | null {
  let type: string | null = null;
  for (const option of reading.all('machine', 'M')) {
    const settings = parseSettings(option.value, 'type');
    type = settings.get('type') ?? type;
    for (const key of ['kernel', 'initrd', 'append', 'firmware'])
      if (settings.has(key)) reading.noteProblem(refused(option, `vmferry does not know ${key}= here`));
    const unknown = [...settings.keys()].filter((key) => !plainMachineKeys.test(key));
    if (unknown.length > 0) reading.noteBeyond(option, unknown.join(', '));
  }
  return type !== null && plainName.test(type) ? type : null;
}

/** `-m 512`, `-m 1G`, `-m size=1G,slots=2,maxmem=4G`. */
function readMemory(reading: Reading): number | null {
  const option = reading.last('m');
  if (option === undefined) return null;
  const settings = parseSettings(option.value, 'size');
  if (settings.has('maxmem') || settings.has('slots')) reading.noteBeyond(option, 'slots, maxmem');
  const bytes = parseSize(settings.get('size') ?? '', 'm');
  if (bytes === null) reading.noteProblem(refused(option, 'it is not an amount of memory'));
  return bytes;
}

/** `-smp 2`, `-smp cpus=2`, `-smp sockets=1,cores=2,threads=2`. */
function readCpuCount(reading: Reading): number | null {
  const option = reading.last('smp');
  if (option === undefined) return null;
  const settings = parseSettings(option.value, 'cpus');
  const parts = ['sockets', 'dies', 'clusters', 'cores', 'threads'];
  if (parts.some((key) => settings.has(key)) || settings.has('maxcpus')) reading.noteBeyond(option);
  const product = parts.reduce((count, key) => count * Number(settings.get(key) ?? 1), 1);
  const count = settings.has('cpus') ? Number(settings.get('cpus')) : product;
  if (Number.isSafeInteger(count) && count > 0) return count;
  reading.noteProblem(refused(option, 'it is not a number of processors'));
  return null;
}

function pathOf(reading: Reading, name: string): string | null {
  const option = reading.last(name);
  return option === undefined ? null : reading.path(option.value);
}

/** A kernel splits its command line at blanks outside double quotes (next_arg() in lib/cmdline.c). */
export function splitCommandLine(text: string): string[] {
  return text.match(/(?:"[^"]*"?|[^"\s])+/g) ?? [];
}

/** A file name without a directory is looked for in QEMU's own. */
function readBios(reading: Reading): string | null {
  const option = reading.last('bios');
  if (option === undefined) return null;
  if (/ovmf|uefi|edk2|aavmf/i.test(option.value)) return reading.path(option.value);
  reading.noteBeyond(option);
  return null;
}

function readConsole(reading: Reading, commandLine: readonly string[]): Pick<GuestDefinition, 'console'> {
  const [, given] =
    /^console=(tty0|ttyS0|hvc0)(?:,|$)/.exec(
      commandLine.findLast((word) => word.startsWith('console=')) ?? '',
    ) ?? [];
  const hasVirtio = reading
    .all('device')
    .some(({ value }) => parseSettings(value, 'driver').get('driver') === 'virtconsole');
  if (given === 'hvc0' && !hasVirtio) return {};
  if (given === 'tty0' || given === 'ttyS0' || given === 'hvc0') return { console: given };
  return {};
}

function readClock(reading: Reading): Pick<GuestDefinition, 'clock'> {
  const option = reading.last('rtc', 'localtime');
  if (option === undefined) return {};
  if (option.name === 'localtime') return { clock: 'localtime' };
  const settings = parseSettings(option.value, 'base');
  const base = settings.get('base');
  if (settings.has('clock') || settings.has('driftfix')) reading.noteBeyond(option);
  if (base === 'utc' || base === 'localtime') return { clock: base };
  if (base !== undefined) reading.noteBeyond(option, `base=${base}`);
  return {};
}

function readCpuModel(reading: Reading): Pick<GuestDefinition, 'cpuModel'> {
  const option = reading.last('cpu');
  if (option === undefined) return {};
  const [model = '', ...features] = option.value.split(',');
  if (features.length > 0) reading.noteBeyond(option, features.join(','));
  if (plainName.test(model)) return { cpuModel: model };
  reading.noteBeyond(option);
  return {};
}

function readUuid(reading: Reading): Pick<GuestDefinition, 'uuid'> {
  const option = reading.last('uuid');
  if (option === undefined) return {};
  const uuid = option.value.toLowerCase();
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return { uuid };
  reading.noteProblem(refused(option, 'it is not a UUID'));
  return {};
}

import type { GuestDefinition } from '../../../definition.ts';
import type { ReadPart } from './read-part.ts';
import type { Settings } from './settings.ts';

type BootFields = Pick<
  GuestDefinition,
  'kernel' | 'initrd' | 'commandLine' | 'boot' | 'firmware' | 'console' | 'virtualization'
>;

type Virtualization = 'pv' | 'pvh' | 'hvm';

const keys = [
  'type',
  'builder',
  'kernel',
  'ramdisk',
  'root',
  'extra',
  'cmdline',
  'bootloader',
  'firmware',
  'bios',
];

/** How the guest boots: xl.cfg(5), "Guest Type", "Direct Kernel Boot", "Non direct Kernel Boot". */
export function readBoot(settings: Settings): ReadPart<BootFields> {
  const virtualization = readType(settings);
  const bootLoader = settings.string('bootloader');
  const kernel = readKernel(settings, virtualization);
  const initrd = readPath(settings, 'ramdisk');
  const given = readCommandLine(settings);
  const firmware = virtualization === 'hvm' ? readFirmware(settings) : undefined;
  const pvFirmware = virtualization === 'hvm' ? undefined : settings.string('firmware');
  if (
    virtualization !== 'hvm' &&
    !settings.get('kernel') &&
    !settings.get('bootloader') &&
    !settings.get('firmware')
  )
    settings.complain(null, 'it has neither a kernel nor a boot loader', 'no-kernel');
  const { boot, beyond } = chooseBoot(settings, virtualization, bootLoader, pvFirmware, kernel);
  const isDirect = boot === 'kernel';
  const guestConsole = consoleOf(given, virtualization);
  return {
    fields: {
      kernel: isDirect ? kernel : null,
      initrd: isDirect ? initrd : null,
      commandLine: isDirect || boot === 'boot-loader' ? given : [],
      ...(isDirect ? {} : { boot }),
      ...(boot === 'firmware' ? { firmware: firmware ?? { kind: 'bios' } } : {}),
      ...(guestConsole === undefined ? {} : { console: guestConsole }),
      virtualization,
    },
    understood: [...keys, 'bootloader_args', 'bootargs', 'pvh'],
    beyond,
  };
}

function chooseBoot(
  settings: Settings,
  virtualization: Virtualization,
  bootLoader: string | undefined,
  pvFirmware: string | undefined,
  kernel: string | null,
): { boot: NonNullable<BootFields['boot']>; beyond: string[] } {
  const line = (key: string) => settings.get(key)?.line ?? 0;
  const beyond: string[] = [];
  if (pvFirmware !== undefined) {
    beyond.push(`line ${line('firmware')}: firmware = ${pvFirmware}`);
    return { boot: 'boot-loader', beyond };
  }
  if (virtualization === 'hvm') return { boot: kernel === null ? 'firmware' : 'kernel', beyond };
  if (bootLoader === undefined) return { boot: 'kernel', beyond };
  if (!/(?:^|\/)pygrub$/.test(bootLoader))
    beyond.push(`line ${line('bootloader')}: bootloader = ${bootLoader}`);
  for (const key of ['bootloader_args', 'bootargs']) {
    const value = settings.get(key)?.value;
    const isEmpty =
      value === undefined || (value.kind === 'list' ? value.items.length === 0 : value.text === '');
    if (!isEmpty) beyond.push(`line ${line(key)}: ${key}`);
  }
  for (const key of ['kernel', 'ramdisk'])
    if (settings.get(key) !== undefined)
      beyond.push(`line ${line(key)}: ${key} (the boot loader finds another)`);
  return { boot: 'boot-loader', beyond };
}

/** xl takes the beginning of a word for the word, and `type` and the older `builder` must agree. */
function readType(settings: Settings): Virtualization {
  const type = settings.string('type');
  const builder = settings.string('builder');
  const fromType =
    type === undefined ? undefined : (['hvm', 'pv', 'pvh'] as const).find((one) => one === type);
  if (type !== undefined && fromType === undefined)
    settings.complain(settings.get('type')?.line ?? null, `the type ${type} is none of pv, pvh and hvm`);
  const fromBuilder = builder === undefined ? undefined : ({ hvm: 'hvm', generic: 'pv' } as const)[builder];
  if (builder !== undefined && fromBuilder === undefined)
    settings.complain(
      settings.get('builder')?.line ?? null,
      `the builder ${builder} is neither hvm nor generic`,
    );
  if (fromType !== undefined && fromBuilder !== undefined && fromType !== fromBuilder)
    settings.complain(settings.get('builder')?.line ?? null, 'type and builder contradict each other');
  if (settings.flag('pvh') === true)
    settings.complain(settings.get('pvh')?.line ?? null, "xl ignores pvh: it must be type = 'pvh'");
  return fromType ?? fromBuilder ?? 'pv';
}

/** Old HVM files name the firmware's loader as the kernel, which xl ignores. */
function readKernel(settings: Settings, virtualization: Virtualization): string | null {
  const kernel = settings.string('kernel');
  if (virtualization === 'hvm' && kernel !== undefined && /(?:^|\/)hvmloader$/.test(kernel)) return null;
  return readPath(settings, 'kernel');
}

function readPath(settings: Settings, key: string): string | null {
  const path = settings.string(key);
  if (path === undefined || path === '') return null;
  if (path.startsWith('/')) return path;
  settings.complain(settings.get(key)?.line ?? null, `${key} is not an absolute path`);
  return null;
}

/** `root` and `extra` together, or `cmdline` instead of both. */
function readCommandLine(settings: Settings): string[] {
  const whole = settings.string('cmdline');
  const root = settings.string('root');
  const extra = settings.string('extra');
  const joined = [
    ...(root === undefined ? [] : [`root=${root}`]),
    ...(extra === undefined ? [] : [extra]),
  ].join(' ');
  const words = splitWords(whole ?? joined);
  const key = whole === undefined ? 'extra' : 'cmdline';
  if (words.length > 1000 || words.some((word) => word.length > 60_000))
    settings.complain(settings.get(key)?.line ?? null, 'the command line is too long');
  return words;
}

/** The words of a kernel's command line, which are separated by spaces outside of double quotation marks. */
export function splitWords(text: string): string[] {
  return text.match(/(?:"[^"]*"?|[^"\s])+/g) ?? [];
}

const consoles = ['tty0', 'ttyS0', 'hvc0'] as const;

function consoleOf(
  words: readonly string[],
  virtualization: Virtualization,
): BootFields['console'] | undefined {
  const named = words.filter((word) => word.startsWith('console=')).at(-1);
  if (named === undefined) return virtualization === 'hvm' ? undefined : 'hvc0';
  const [device] = named.slice('console='.length).split(',');
  return consoles.find((one) => one === device);
}

function readFirmware(settings: Settings): GuestDefinition['firmware'] {
  const names = [settings.string('firmware'), settings.string('bios')];
  const isUefi = names.some((name) => name === 'uefi' || name === 'ovmf');
  const unknown = names.find(
    (name) => name !== undefined && !['uefi', 'ovmf', 'bios', 'seabios', 'rombios'].includes(name),
  );
  if (unknown?.startsWith('/') === true) return { kind: 'uefi', code: unknown };
  if (unknown !== undefined)
    settings.complain(settings.get('firmware')?.line ?? null, `the firmware ${unknown} is unknown`);
  return isUefi ? { kind: 'uefi', code: null } : { kind: 'bios' };
}

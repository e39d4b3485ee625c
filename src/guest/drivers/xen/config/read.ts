import { isGuestName, type GuestDefinition } from '../../../definition.ts';
import { ConfigSyntaxError, type ConfigProblem } from './config-problem.ts';
import { parseConfig } from './parse.ts';
import { readBoot } from './read-boot.ts';
import { readCards } from './read-cards.ts';
import { readDisks } from './read-disks.ts';
import type { ReadPart } from './read-part.ts';
import { Settings, type Setting } from './settings.ts';

export interface ReadConfig {
  /** Null if the file says too little to be a guest. With problems it is incomplete. */
  definition: GuestDefinition | null;
  /** What xl refuses, and what it passes over without a word. The guest must not be moved or started then. */
  problems: readonly ConfigProblem[];
}

/** Settings that mean what is usual anyway: value as text, by key. */
const usualValues: Readonly<Record<string, readonly string[]>> = {
  on_poweroff: ['destroy'],
  on_reboot: ['restart'],
  on_crash: ['destroy'],
  acpi: ['1'],
  apic: ['1'],
  pae: ['1'],
  boot: ['c', ''],
  localtime: ['0', '1'],
};

/**
 * Reads a configuration for xl or xm: xl.cfg(5), and the sources of xl 4.17. Pure: it looks at no path that the text names, and runs
 * nothing. Understood settings become fields; everything else is in `native.beyond`, with its line.
 */
export function readXenConfig(text: string): ReadConfig {
  try {
    const settings = new Settings(parseConfig(text));
    const definition = readSettings(settings, text);
    return { definition, problems: settings.problems };
  } catch (error) {
    if (error instanceof ConfigSyntaxError) return { definition: null, problems: [error.problem] };
    throw error;
  }
}

function readSettings(settings: Settings, text: string): GuestDefinition | null {
  const name = settings.string('name');
  if (name === undefined) settings.complain(null, 'it has no name');
  else if (!isGuestName(name))
    settings.complain(settings.get('name')?.line ?? null, 'the name cannot be used');
  const boot = readBoot(settings);
  const isHvm = boot.fields.virtualization === 'hvm';
  const disks = readDisks(settings, isHvm);
  const cards = readCards(settings, isHvm);
  const size = readSize(settings);
  const uuid = readUuid(settings);
  const clock = settings.flag('localtime');
  const parts = [boot, disks, cards, size];
  const understood = new Set(['name', 'uuid', ...parts.flatMap((part) => part.understood)]);
  const beyond = [
    ...parts.flatMap((part) => part.beyond),
    ...settings
      .all()
      .filter((setting) => !understood.has(setting.key) && !isUsual(setting))
      .map(describe(text)),
  ];
  if (name === undefined || !isGuestName(name)) return null;
  return {
    name,
    driver: 'xen',
    ...size.fields,
    ...boot.fields,
    ...disks.fields,
    ...cards.fields,
    ...(clock === undefined ? {} : { clock: clock ? 'localtime' : 'utc' }),
    ...(uuid === undefined ? {} : { uuid }),
    native: { text, beyond: beyond.toSorted(byLine) },
  };
}

function isUsual({ key, value }: Setting): boolean {
  return value.kind === 'atom' && (usualValues[key]?.includes(value.text) ?? false);
}

const MOST_SHOWN_CHARACTERS = 300;

/** `line 7: vtpm = ['backend=tpm']`, as the file has it. */
export function describe(text: string): (setting: Setting) => string {
  return ({ line, statements }) => {
    const source = statements.map(({ from, to }) => text.slice(from, to)).join('; ');
    const whole = source.replaceAll(/\s+/g, ' ');
    const shown = whole.length > MOST_SHOWN_CHARACTERS ? `${whole.slice(0, MOST_SHOWN_CHARACTERS)}…` : whole;
    return `line ${line}: ${shown}`;
  };
}

function byLine(one: string, other: string): number {
  return lineOf(one) - lineOf(other);
}

function lineOf(text: string): number {
  return Number(/^line (\d+)/.exec(text)?.[1] ?? 0);
}

const MEBIBYTE = 2 ** 20;

function readSize(settings: Settings): ReadPart<Pick<GuestDefinition, 'memoryBytes' | 'cpuCount'>> {
  const memory = settings.positive('memory');
  const maximum = settings.positive('maxmem');
  const cpus = settings.positive('vcpus');
  const mostCpus = settings.positive('maxvcpus');
  if (cpus !== undefined && mostCpus !== undefined && mostCpus < cpus)
    settings.complain(settings.get('maxvcpus')?.line ?? null, 'maxvcpus is less than vcpus');
  if (memory !== undefined && maximum !== undefined && maximum < memory)
    settings.complain(settings.get('maxmem')?.line ?? null, 'maxmem is less than memory');
  const beyond = [
    ...(maximum !== undefined && maximum !== memory
      ? [`line ${settings.get('maxmem')?.line}: maxmem = ${maximum}`]
      : []),
    ...(mostCpus !== undefined && mostCpus !== (cpus ?? 1)
      ? [`line ${settings.get('maxvcpus')?.line}: maxvcpus = ${mostCpus}`]
      : []),
  ];
  const bytes = (memory ?? 0) * MEBIBYTE;
  if (!Number.isSafeInteger(bytes))
    settings.complain(settings.get('memory')?.line ?? null, 'memory is too big');
  return {
    fields: {
      memoryBytes: memory === undefined || !Number.isSafeInteger(bytes) ? null : bytes,
      cpuCount: cpus ?? null,
    },
    understood: ['memory', 'maxmem', 'vcpus', 'maxvcpus'],
    beyond,
  };
}

function readUuid(settings: Settings): string | undefined {
  const text = settings.string('uuid')?.toLowerCase();
  if (text === undefined) return undefined;
  // xl takes hexadecimal digits with hyphens anywhere (libxl_uuid_from_string).
  const digits = text.replaceAll('-', '');
  if (/^[\da-f]{32}$/.test(digits)) return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  settings.complain(settings.get('uuid')?.line ?? null, 'the uuid is not one');
  return undefined;
}

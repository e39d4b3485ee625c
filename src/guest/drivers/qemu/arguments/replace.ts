import { Failure } from '../../../../failure.ts';
import type { DiskDefinition, GuestDefinition } from '../../../definition.ts';
import type { QemuOption } from './option-list.ts';
import { readQemuArguments, type QemuReading } from './read.ts';
import type { ValuePlace } from './reading.ts';
import { formatSettings, formatSize, parseSettings, withSetting } from './settings.ts';
import { attachmentText } from './write.ts';

/** A program and its arguments. */
export interface QemuCommand {
  program: string;
  args: string[];
}

/**
 * The guest's own arguments (`native.text`), with the neutral fields replaced that differ from what they say. Throws
 * Failure `guest-unsupported` for a difference that has no place in them.
 */
export function replacedArguments(definition: GuestDefinition, text: string): QemuCommand {
  const argv = parseArgv(definition.name, text);
  const reading = readQemuArguments({ argv, resolve: (path) => path, fallbackName: definition.name });
  const [program = ''] = argv;
  const edited = new EditedArguments(reading.options);
  const before = reading.definition;
  replaceDisks(definition, reading, edited);
  replaceCards(definition, reading, edited);
  if (definition.name !== before.name || !reading.options.some(({ name }) => name === 'name'))
    edited.setKey('name', 'guest', definition.name);
  if (definition.memoryBytes !== before.memoryBytes)
    edited.setKey('m', 'size', definition.memoryBytes === null ? null : formatSize(definition.memoryBytes));
  if (definition.cpuCount !== before.cpuCount)
    edited.set('smp', definition.cpuCount === null ? null : String(definition.cpuCount));
  if (definition.kernel !== before.kernel) edited.set('kernel', definition.kernel);
  if (definition.initrd !== before.initrd) edited.set('initrd', definition.initrd);
  if (!isSame(definition.commandLine, before.commandLine))
    edited.set('append', definition.commandLine.length === 0 ? null : definition.commandLine.join(' '));
  if (definition.uuid !== before.uuid) edited.set('uuid', definition.uuid ?? null);
  if (definition.cpuModel !== before.cpuModel) edited.set('cpu', definition.cpuModel ?? null);
  if (definition.machineType !== before.machineType)
    edited.setKey('machine', 'type', definition.machineType ?? null);
  if (definition.clock !== before.clock)
    edited.set('rtc', definition.clock === undefined ? null : `base=${definition.clock}`);
  refuseOtherChanges(definition, before, reading, edited, program);
  return { program, args: edited.result() };
}

function parseArgv(name: string, text: string): string[] {
  try {
    const argv: unknown = JSON.parse(text);
    if (Array.isArray(argv) && argv.every((one) => typeof one === 'string') && argv.length > 0) return argv;
  } catch {
    // It is told below.
  }
  throw new Failure('guest-unsupported', `The arguments of ${name} are not a JSON list of texts.`);
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

class EditedArguments {
  readonly #options: readonly QemuOption[];
  /** By `QemuOption.place`. Null: the option is left out. */
  readonly #values = new Map<number, { name: string; value: string } | null>();
  readonly #added: string[] = [];

  constructor(options: readonly QemuOption[]) {
    this.#options = options;
  }

  result(): string[] {
    const kept = this.#options.flatMap(({ place, name, value, width }) => {
      const edited = this.#values.get(place);
      if (edited === null) return [];
      if (edited !== undefined) return [`-${edited.name}`, edited.value];
      return width === 1 ? [name === 'hda' ? value : `-${name}`] : [`-${name}`, value];
    });
    return [...kept, ...this.#added];
  }

  option(place: number): QemuOption | undefined {
    return this.#options.find((one) => one.place === place);
  }

  #last(name: string): QemuOption | undefined {
    return this.#options.findLast((one) => one.name === name || (name === 'machine' && one.name === 'M'));
  }

  #valueOf({ place, value }: QemuOption): string {
    return this.#values.get(place)?.value ?? value;
  }

  /** Replaces the whole value of the option, adds the option, or takes it out. */
  set(name: string, value: string | null): void {
    for (const { place } of this.#options.filter((one) => one.name === name)) this.#values.set(place, null);
    const last = this.#last(name);
    if (value === null) return;
    if (last === undefined) this.#added.push(`-${name}`, value);
    else this.#values.set(last.place, { name, value });
  }

  /** Replaces one setting of the last option of this name. The key is the one that may be left out. */
  setKey(name: string, key: string, value: string | null): void {
    const last = this.#last(name);
    if (last === undefined) {
      if (value !== null) this.#added.push(`-${name}`, formatSettings([[key, value]]));
      return;
    }
    this.#values.set(last.place, {
      name: last.name,
      value: withSetting(this.#valueOf(last), key, value, key),
    });
  }

  setPlace({ option: place, key, impliedKey }: ValuePlace, value: string): void {
    const option = this.option(place);
    if (option === undefined) return;
    const whole = key === '' ? value : withSetting(this.#valueOf(option), key, value, impliedKey);
    this.#values.set(place, { name: option.name, value: whole });
  }

  replaceOption(place: number, name: string, value: string): void {
    this.#values.set(place, { name, value });
  }
}

function replaceDisks(definition: GuestDefinition, reading: QemuReading, edited: EditedArguments): void {
  reading.storage.disks.forEach((found, index) => {
    const disk = definition.disks[index];
    if (disk === undefined) return;
    const option = edited.option(found.pathPlace.option);
    const [, letter] = /^hd([a-d])$/.exec(option?.name ?? '') ?? [];
    if (letter !== undefined && option !== undefined) {
      // The short form has no place for the format, and QEMU must not guess it from the guest's bytes.
      edited.replaceOption(option.place, 'drive', shortFormAsDrive(disk, 'abcd'.indexOf(letter)));
      return;
    }
    if (disk.path !== found.definition.path) edited.setPlace(found.pathPlace, disk.path);
    const isOther = disk.format !== found.definition.format;
    if ((isOther || !found.isFormatGiven) && found.formatPlace !== null)
      edited.setPlace(found.formatPlace, disk.format ?? 'raw');
  });
  reading.storage.drives.forEach(({ definition: before, pathPlace }, index) => {
    const path = definition.drives?.[index]?.path;
    if (typeof path === 'string' && path !== before.path && pathPlace !== null)
      edited.setPlace(pathPlace, path);
  });
  const code = definition.firmware?.kind === 'uefi' ? definition.firmware.code : null;
  const { firmwareCode } = reading.storage;
  if (firmwareCode !== null && code !== null && code !== firmwareCode.path)
    edited.setPlace(firmwareCode.place, code);
}

function shortFormAsDrive({ path, format }: DiskDefinition, index: number): string {
  return formatSettings([
    ['file', path],
    ['format', format ?? 'raw'],
    ['index', String(index)],
    ['media', 'disk'],
  ]);
}

function replaceCards(definition: GuestDefinition, reading: QemuReading, edited: EditedArguments): void {
  reading.cards.forEach(({ definition: before, card, attachment }, index) => {
    const after = definition.networkCards?.[index];
    if (after === undefined) return;
    if (after.mac !== undefined && after.mac !== before.mac && card !== null)
      edited.setPlace(
        {
          option: card.place,
          key: card.name === 'net' ? 'macaddr' : 'mac',
          impliedKey: card.name === 'device' ? 'driver' : 'type',
        },
        after.mac,
      );
    if (!isSame(after.attachedTo, before.attachedTo) && attachment !== null) {
      const kept = [...parseSettings(attachment.value, 'type')].filter(([key]) => isOfCard(key));
      const value = attachmentText(after.attachedTo, kept, definition.name);
      edited.replaceOption(attachment.place, attachment.name, value);
    }
  });
}

/** Settings that stay when a card is attached to something else. */
function isOfCard(key: string): boolean {
  return ['id', 'model', 'mac', 'vlan', 'netdev', 'name'].includes(key);
}

/** The edited arguments must say what the definition says. Otherwise the guest would behave differently in silence. */
function refuseOtherChanges(
  definition: GuestDefinition,
  before: GuestDefinition,
  { storage, cards }: QemuReading,
  edited: EditedArguments,
  program: string,
): void {
  if (
    storage.disks.length === definition.disks.length &&
    cards.length === (definition.networkCards?.length ?? 0)
  ) {
    const after = readQemuArguments({
      argv: [program, ...edited.result()],
      resolve: (path) => path,
      fallbackName: definition.name,
    }).definition;
    const comparable = ({
      native: _native,
      autostart: _autostart,
      boot = 'kernel',
      ...rest
    }: GuestDefinition) => ({
      ...rest,
      boot,
    });
    const [wanted, got] = [comparable(definition), comparable(after)] as [
      Record<string, unknown>,
      Record<string, unknown>,
    ];
    const fields = new Set([...Object.keys(wanted), ...Object.keys(got)]);
    const differing = [...fields].filter((field) => !isSame(sorted(wanted[field]), sorted(got[field])));
    if (differing.length === 0) return;
    throw notReplaced(before.name, differing);
  }
  throw notReplaced(before.name, ['disks or networkCards']);
}

/** With the keys of all objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

function notReplaced(name: string, fields: readonly string[]): Failure {
  return new Failure(
    'guest-unsupported',
    `The arguments of ${name} cannot be changed to its definition: ${fields.join(', ')}.`,
    { advice: 'Take `native` out of the definition: its arguments are then made from the other fields.' },
  );
}

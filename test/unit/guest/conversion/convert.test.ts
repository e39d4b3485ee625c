import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { convertDefinition, type Conversion } from '../../../../src/guest/conversion/convert.ts';
import { readUmlCard } from '../../../../src/guest/conversion/uml-arguments.ts';
import { parseGuestDefinition, type GuestDefinition } from '../../../../src/guest/definition.ts';
import type { HypervisorKind } from '../../../../src/guest/definition-language.ts';
import { definitionOf, hypervisorKinds } from '../../../support/guests/definitions.ts';

const pairs = hypervisorKinds.flatMap((from) =>
  hypervisorKinds.filter((to) => to !== from).map((to): [HypervisorKind, HypervisorKind] => [from, to]),
);

function convert(definition: GuestDefinition, driver: HypervisorKind): Conversion {
  return convertDefinition(definition, { driver, choices: {} });
}

/** The settings of the guest that are neither in the new definition nor in a sentence. */
function unaccounted(
  before: GuestDefinition,
  { definition: after, disks, changes, losses }: Conversion,
): string[] {
  const sentences = [...changes, ...losses].join('\n');
  const missing: string[] = [];
  const account = (place: string, had: string | number | boolean | null | undefined, has: unknown) => {
    if (had === undefined || had === null || had === has) return;
    if (!sentences.includes(String(had))) missing.push(`${place}: ${JSON.stringify(had)}`);
  };
  for (const [index, disk] of before.disks.entries()) {
    const now = disks[index];
    if (now === null) account(`disk ${index}`, disk.path, undefined);
    else
      for (const [key, value] of Object.entries(disk))
        account(`disk ${index} ${key}`, value, now?.[key as 'path']);
  }
  const cards = cardsOf(after);
  for (const [index, card] of cardsOf(before).entries()) {
    account(`card ${index} mac`, card.mac, cards[index]?.mac);
    account(`card ${index} model`, card.model, cards[index]?.model);
    const { attachedTo } = card;
    const now = cards[index]?.attachedTo;
    if ('name' in attachedTo)
      account(`card ${index} name`, attachedTo.name, now && 'name' in now ? now.name : '');
    else if (
      now?.kind !== attachedTo.kind &&
      !/user space|only its hypervisor/.test(sentences) &&
      before.driver !== 'uml'
    )
      missing.push(`card ${index} ${attachedTo.kind}`);
  }
  for (const drive of before.drives ?? []) {
    const isThere = (after.drives ?? []).some((one) => JSON.stringify(one) === JSON.stringify(drive));
    if (!isThere)
      for (const value of Object.values(drive))
        account(`drive ${drive.device}`, value === 'cdrom' ? 'CD-ROM' : value, null);
  }
  for (const argument of before.commandLine) {
    const isCard = readUmlCard(argument) !== null;
    account('command line', argument, isCard ? undefined : after.commandLine.find((one) => one === argument));
  }
  for (const beyond of before.native?.beyond ?? []) account('beyond', beyond, undefined);
  if (before.firmware?.kind === 'uefi')
    account('code', before.firmware.code, after.firmware?.kind === 'uefi' && after.firmware.code);
  // BIOS is what a guest boots by if nothing is said.
  const hasBios = after.boot === 'firmware' && after.firmware === undefined;
  account('firmware', before.firmware?.kind, hasBios ? 'bios' : after.firmware?.kind);
  if (before.autostart === true && after.autostart !== true && !/autostart/i.test(sentences))
    missing.push('autostart');
  // UTC is what a clock shows anyway.
  if (before.clock === 'localtime') account('clock', before.clock, after.clock);
  const {
    disks: _1,
    networkCards: _2,
    drives: _3,
    commandLine: _4,
    native: _5,
    firmware: _6,
    autostart: _7,
    clock: _8,
    driver: _9,
    ...rest
  } = before;
  for (const [key, value] of Object.entries(rest)) account(key, value, after[key as 'name']);
  return missing;
}

function cardsOf({ commandLine, networkCards = [] }: GuestDefinition) {
  return [...networkCards, ...commandLine.flatMap((argument) => readUmlCard(argument)?.card ?? [])];
}

describe.each(pairs)('from %s to %s', (from, to) => {
  test('each setting of a guest is in the new definition, or in a sentence', () => {
    fc.assert(
      fc.property(definitionOf(from), (before) => {
        const conversion = convert(before, to);
        expect(unaccounted(before, conversion)).toEqual([]);
        expect(conversion.definition.driver).toBe(to);
        expect(parseGuestDefinition(conversion.definition)).toEqual(conversion.definition);
      }),
    );
  });

  test('there and back keeps memory, CPUs, MACs, disk paths, and the root file system', () => {
    fc.assert(
      fc.property(definitionOf(from), (before) => {
        const back = convert(convert(before, to).definition, from).definition;
        expect(back).toMatchObject({
          name: before.name,
          memoryBytes: before.memoryBytes,
          cpuCount: before.cpuCount,
        });
        const paths = ({ disks }: GuestDefinition) =>
          disks.filter(({ purpose }) => !purpose).map(({ path }) => path);
        expect(paths(back)).toEqual(paths(before));
        const macs = (one: GuestDefinition) => cardsOf(one).map(({ mac }) => mac);
        expect(macs(back)).toEqual(macs(before));
        const slots = new Set(back.disks.map(({ device }) => device));
        expect(slots.size).toBe(back.disks.length);
      }),
    );
  });
});

test.each(hypervisorKinds)('a guest that stays with %s is not changed', (kind) => {
  fc.assert(
    fc.property(definitionOf(kind), (before) => {
      const { definition, disks, changes, losses } = convert(before, kind);
      expect(definition).toEqual(before);
      expect(disks).toEqual(before.disks);
      expect([...changes, ...losses]).toEqual([]);
    }),
  );
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { configFailure } from '../../../../../src/guest/drivers/xen/config/config-problem.ts';
import { parseDiskSpec, DiskSpecError } from '../../../../../src/guest/drivers/xen/config/disk-spec.ts';
import { parseConfig } from '../../../../../src/guest/drivers/xen/config/parse.ts';
import { readXenConfig } from '../../../../../src/guest/drivers/xen/config/read.ts';
import { xenConfigOf } from '../../../../../src/guest/drivers/xen/config/rewrite.ts';
import { MOST_CONFIG_CHARACTERS, quoteForXl } from '../../../../../src/guest/drivers/xen/config/scan.ts';
import { parseNumber } from '../../../../../src/guest/drivers/xen/config/settings.ts';
import { writeXenConfig } from '../../../../../src/guest/drivers/xen/config/write.ts';
import { testSeed } from '../../../../support/seeded-random.ts';
import { xenFixture, xenFixtures } from '../../../../support/guests/xen-fixtures.ts';

const seed = testSeed();
const options = { seed, numRuns: 300 };

const fixtures = xenFixtures();
const texts = (['accepted', 'refused', 'lossy'] as const).flatMap((kind) =>
  Object.keys(fixtures[kind]).map((name) => xenFixture(kind, name)),
);

const path = fc.stringMatching(/^\/[A-Za-z0-9 ._=:'"\\ü-]{1,20}$/).filter((text) => text === text.trim());
const word = fc.stringMatching(/^[A-Za-z0-9=/.,'\\_-]{1,12}$/);
const mac = fc
  .array(fc.integer({ min: 0, max: 255 }), { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':'));
const bridge = fc.stringMatching(/^[a-z][a-z0-9.-]{0,10}$/);

const disks = fc
  .array(fc.record({ path, readOnly: fc.boolean(), format: fc.constantFrom('raw', 'qcow2', 'vpc') }), {
    maxLength: 6,
  })
  .map((list) =>
    list.map(({ format, ...disk }, index) => ({
      device: `xvd${'abcdef'[index]}`,
      ...disk,
      ...(format === 'raw' ? {} : { format: format as 'qcow2' | 'vpc' }),
      bus: 'xen' as const,
    })),
  );

/** Guests as xl can have them. */
const guests: fc.Arbitrary<GuestDefinition> = fc
  .record({
    name: fc.stringMatching(/^[A-Za-z0-9ü][A-Za-z0-9.'"\\ü-]{0,20}$/),
    mebibytes: fc.option(fc.integer({ min: 1, max: 1_000_000 })),
    cpuCount: fc.option(fc.integer({ min: 1, max: 512 })),
    kernel: path,
    initrd: fc.option(path),
    words: fc.array(word, { maxLength: 6 }),
    disks,
    cards: fc.array(fc.record({ mac, bridge }), { maxLength: 3 }),
    way: fc.constantFrom('kernel', 'boot-loader'),
    virtualization: fc.constantFrom('pv', 'pvh'),
    uuid: fc.option(fc.uuid()),
    clock: fc.option(fc.constantFrom('utc', 'localtime')),
  })
  .map(({ mebibytes, words, cards, way, uuid, clock, virtualization, ...guest }) => ({
    ...guest,
    driver: 'xen',
    memoryBytes: mebibytes === null ? null : mebibytes * 2 ** 20,
    kernel: way === 'kernel' ? guest.kernel : null,
    initrd: way === 'kernel' ? guest.initrd : null,
    commandLine: words.filter((one) => !one.startsWith('console=')),
    ...(way === 'kernel' ? {} : { boot: 'boot-loader' as const }),
    virtualization: virtualization as 'pv' | 'pvh',
    console: 'hvc0',
    ...(cards.length === 0
      ? {}
      : {
          networkCards: cards.map((card) => ({
            mac: card.mac,
            model: 'vif',
            attachedTo: { kind: 'bridge' as const, name: card.bridge },
          })),
        }),
    ...(uuid === null ? {} : { uuid }),
    ...(clock === null ? {} : { clock: clock as 'utc' | 'localtime' }),
  }));

function withoutNative(definition: GuestDefinition): GuestDefinition {
  const copy = { ...definition };
  delete copy.native;
  return copy;
}

describe(`configurations for xl (seed ${seed})`, () => {
  test('what is written for a guest is read as the same guest', () => {
    fc.assert(
      fc.property(guests, (guest) => {
        const { definition, problems } = readXenConfig(writeXenConfig(guest));
        expect(problems).toEqual([]);
        if (definition === null) throw new Error('no definition');
        expect(definition.native?.beyond).toEqual([]);
        expect(withoutNative(definition)).toEqual(guest);
      }),
      options,
    );
  });

  test('a guest’s own text can be changed to any other guest, and is then read as that guest', () => {
    fc.assert(
      fc.property(guests, guests, (first, second) => {
        const { definition } = readXenConfig(`# kept\n${writeXenConfig(first)}weight = 1 # kept too\n`);
        if (definition?.native === undefined) throw new Error('no definition');
        const text = xenConfigOf({ ...second, native: definition.native });
        expect(text).toMatch(/^# kept\n/);
        expect(text).toContain('weight = 1 # kept too\n');
        const again = readXenConfig(text);
        expect(again.problems).toEqual([]);
        if (again.definition === null) throw new Error('no definition');
        expect(withoutNative(again.definition)).toEqual(second);
      }),
      options,
    );
  });

  test('a file that is damaged anywhere is read or refused with a line, and never thrown at', () => {
    const pieces = fc.constantFrom(...(texts.join('\n').match(/\w+|[^\w\s]|\s+/g) ?? ['']));
    const mutated = fc
      .tuple(
        fc.constantFrom(...texts),
        fc.array(
          fc.tuple(fc.nat(2000), fc.nat(20), fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 5 }))),
          {
            maxLength: 6,
          },
        ),
      )
      .map(([text, changes]) =>
        changes.reduce((now, [at, length, piece]) => now.slice(0, at) + piece + now.slice(at + length), text),
      );
    fc.assert(
      fc.property(mutated, (text) => {
        const { definition, problems } = readXenConfig(text);
        if (definition === null) expect(problems).not.toEqual([]);
        if (definition !== null && problems.length === 0) expect(xenConfigOf(definition)).toBe(text);
        const lines = text.split('\n').length;
        for (const { line } of problems) expect(line ?? 1).toBeLessThanOrEqual(lines);
      }),
      { seed, numRuns: 1000 },
    );
  });

  test('long and deep texts are read quickly, or refused', () => {
    const startedMs = performance.now();
    const size = MOST_CONFIG_CHARACTERS - 100;
    const hostile = [
      `a = ${'['.repeat(size)}`,
      `a = "${'\\\\'.repeat(size / 2)}"\n`,
      `a = "${'\\'.repeat(size)}`,
      `a = [${'"x",'.repeat(size / 4)}]\n`,
      `${'a += "b"\n'.repeat(size / 9)}`,
      `${'a += ["b"]\n'.repeat(2000)}`,
      `#${'x'.repeat(size)}`,
      `${' '.repeat(size)}x`,
      `name = "a"\nmemory=1\nkernel="/k"\nextra = "${'" '.repeat(100).replaceAll('"', '')}${'x '.repeat(size / 3)}"\n`,
      `name = "a"\nmemory=1\nkernel="/k"\ndisk = ["${','.repeat(size / 2)}"]\nvif = ["${'x=y,'.repeat(size / 10)}"]\n`,
      `disk = ["${'tap:'.repeat(size / 8)}"]\n`,
      'x'.repeat(MOST_CONFIG_CHARACTERS + 1),
    ];
    for (const text of hostile) {
      const { problems } = readXenConfig(text);
      if (problems.length > 0) expect(configFailure('x.cfg', problems).message.length).toBeLessThan(4096);
    }
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(readXenConfig('x'.repeat(MOST_CONFIG_CHARACTERS + 1)).problems).toHaveLength(1);
  });

  test('a string is read as it was quoted', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom("'" as const, '"' as const),
        (text, mark) => {
          fc.pre(!/[\0\r]/.test(text));
          const [statement] = parseConfig(`x = ${quoteForXl(text, mark)}`);
          expect(statement?.value).toMatchObject({ kind: 'atom', text });
        },
      ),
      options,
    );
  });

  test('a disk’s text is read, or refused with a reason', () => {
    const parts = [
      'phy:',
      'tap:',
      'qcow2:',
      '/srv/a',
      ',',
      'xvda',
      'w',
      'target=',
      'vdev=',
      ':cdrom',
      ' ',
      'format=',
      '=',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 14 }), (chosen) => {
        const text = chosen.join('');
        try {
          const { target, targetAt } = parseDiskSpec(text);
          if (targetAt !== null) expect(text.slice(targetAt.from, targetAt.to)).toBe(target);
        } catch (error) {
          expect(error).toBeInstanceOf(DiskSpecError);
        }
      }),
      { seed, numRuns: 1000 },
    );
  });

  test.each([
    ['128', 128],
    ['0x80', 128],
    ['010', 8],
    [' 12', 12],
    ['-3', -3],
    ['08', null],
    ['12 ', null],
    ['1e3', null],
    ['', null],
    ['99999999999999999999', null],
  ])('the number “%s” is %s', (text, number) => {
    expect(parseNumber(text)).toBe(number);
  });
});

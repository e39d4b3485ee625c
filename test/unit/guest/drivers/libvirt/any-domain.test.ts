import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestDefinition, NetworkCard } from '../../../../../src/guest/definition.ts';
import { libvirtLanguage } from '../../../../../src/guest/drivers/libvirt/language.ts';

const place = { name: 'web.xml', directory: '/srv' };

/** Characters that XML quotes, and some that it does not know. */
const character = fc.constantFrom(...'aZ09-_.&<>\'" '.split(''), 'ü', '日');
const path = fc
  .array(character, { minLength: 1, maxLength: 12 })
  .map((characters) => `/srv/x${characters.join('')}x`);
const plainName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,14}$/);
const optional = <Value extends object>(value: fc.Arbitrary<Value>) => fc.oneof(fc.constant({}), value);

const disk = fc
  .tuple(
    fc.record({ path, readOnly: fc.boolean() }),
    fc.constantFrom({ bus: 'virtio' as const }, { bus: 'ide' as const }, { bus: 'sata' as const }),
    optional(fc.record({ format: fc.constantFrom('qcow2' as const, 'vmdk' as const) })),
    optional(fc.record({ cache: fc.constantFrom('none' as const, 'unsafe' as const) })),
    optional(fc.record({ serial: fc.stringMatching(/^[A-Z0-9&<_-]{1,20}$/) })),
  )
  .map((parts) => Object.assign({}, ...parts) as Omit<GuestDefinition['disks'][number], 'device'>);

const attachedTo: fc.Arbitrary<NetworkCard['attachedTo']> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('bridge' as const, 'network' as const, 'tap' as const),
    name: plainName,
  }),
  fc.constant({ kind: 'user' as const }),
);
const card = fc
  .tuple(
    fc.record({ attachedTo, mac: fc.stringMatching(/^52:54:00(:[0-9a-f]{2}){3}$/) }),
    fc.record({ model: fc.constantFrom('virtio-net-pci', 'e1000', 'rtl8139') }),
  )
  .map((parts) => Object.assign({}, ...parts) as NetworkCard);

const bootsKernel = fc.record({
  kernel: path,
  initrd: fc.option(path),
  commandLine: fc.array(fc.stringMatching(/^[a-z&<'=/]{1,12}$/), { maxLength: 4 }),
});
const bootsFirmware = fc.record({
  kernel: fc.constant(null),
  initrd: fc.constant(null),
  commandLine: fc.constant([]),
  boot: fc.constant('firmware' as const),
});

const definition: fc.Arbitrary<GuestDefinition> = fc
  .tuple(
    fc.record({
      name: plainName,
      driver: fc.constant('libvirt' as const),
      memoryBytes: fc.integer({ min: 2 ** 20, max: 2 ** 40 }),
      cpuCount: fc.integer({ min: 1, max: 512 }),
      disks: fc
        .array(disk, { maxLength: 4 })
        .map((disks) => disks.map((one, index) => ({ ...one, device: `vd${'abcd'[index] ?? ''}` }))),
      console: fc.constantFrom('tty0' as const, 'ttyS0' as const, 'hvc0' as const),
      clock: fc.constantFrom('utc' as const, 'localtime' as const),
    }),
    fc.oneof(bootsKernel, bootsFirmware),
    optional(
      fc.record({
        drives: fc
          .option(path)
          .map((medium) => [{ device: 'sda', kind: 'cdrom' as const, bus: 'sata' as const, path: medium }]),
      }),
    ),
    optional(fc.record({ networkCards: fc.array(card, { minLength: 1, maxLength: 3 }) })),
    optional(fc.record({ machineType: plainName })),
    optional(fc.record({ cpuModel: fc.oneof(plainName, fc.constant('host-passthrough')) })),
    optional(fc.record({ uuid: fc.uuid() })),
    optional(
      fc.record({
        firmware: fc.oneof(path, fc.constant(null)).map((code) => ({ kind: 'uefi' as const, code })),
      }),
    ),
  )
  .map((parts) => Object.assign({}, ...parts) as GuestDefinition);

const withoutNative = (guest: GuestDefinition) => {
  const { native, ...rest } = guest;
  void native;
  return rest;
};

test('any definition becomes a domain that says the same', () => {
  fc.assert(
    fc.property(definition, (guest) => {
      const written = libvirtLanguage.write(guest);
      expect(libvirtLanguage.recognizes(written, 'web.xml')).toBe(true);
      const { definition: again, problems } = libvirtLanguage.read(written, place);
      expect(problems).toEqual([]);
      expect(again.native?.beyond).toEqual([]);
      expect(withoutNative(again)).toEqual(guest);
      expect(libvirtLanguage.write(again)).toBe(written);
    }),
    { numRuns: 200 },
  );
});

const bases = ['usual', 'uefi-pflash', 'pinned', 'qemu-arguments', 'direct-kernel'];

test('any definition can be put into a domain that is there, which keeps all else', () => {
  const directory = join(import.meta.dirname, '../../../../../fixtures/definitions/libvirt');
  fc.assert(
    fc.property(definition, fc.constantFrom(...bases), (guest, base) => {
      const text = readFileSync(join(directory, `${base}.xml`), 'utf8');
      const written = libvirtLanguage.write({ ...guest, native: { text, beyond: [] } });
      const again = libvirtLanguage.read(written, place).definition;
      // A screen stays when a console goes.
      expect(withoutNative({ ...again, console: 'tty0' })).toEqual({ ...guest, console: 'tty0' });
      for (const kept of ['<emulator>', ...(base === 'qemu-arguments' ? ['a&amp;b,,c'] : [])])
        expect(written).toContain(kept);
    }),
    { numRuns: 200 },
  );
});
